"""Types of columns in PostgreSQL: whole numbers of 64 bits, and texts that no language orders.

SQLite has had both from the start: its numbers have 64 bits, and it compares texts by code point.
Nor has it lengths of texts, which the services check. In PostgreSQL an entry of an index holds at
most 2.7 KB, so the texts that were parsed from lines are not in theirs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

PARSED = ("anomaly_types", "notes")


def upgrade() -> None:
    """Change the types of what is there; nothing in SQLite."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    for name in PARSED:
        op.drop_index(f"ix_entries_dataset_id_{name}", "entries")
    inspector = sa.inspect(connection)
    for table in inspector.get_table_names():
        for column in inspector.get_columns(table):
            if table == "alembic_version":
                continue
            if isinstance(column["type"], (sa.String, sa.Text)):
                op.alter_column(table, column["name"], type_=sa.Text(collation="C"))
            elif isinstance(column["type"], sa.Integer):
                op.alter_column(table, column["name"], type_=sa.BigInteger())
    for sequence in inspector.get_sequence_names():
        op.execute(f"ALTER SEQUENCE {sequence} AS bigint")
    for name in PARSED:
        op.create_index(
            f"ix_entries_dataset_id_{name}",
            "entries",
            ["dataset_id"],
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
