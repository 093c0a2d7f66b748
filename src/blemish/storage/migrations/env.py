"""What Alembic runs: the steps, on the connection (and in the transaction) that it was given.

A step after 0023 takes the types of its columns from `storage.database.column_types`, so that they
are right in PostgreSQL too: `short_text(40)` for `sa.String(40)`, and `NUMBER` for `sa.Integer`.
"""

from alembic import context

from blemish.storage.database.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
