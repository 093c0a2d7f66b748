"""What Alembic runs: the steps, on the connection (and in the transaction) that it was given."""

from alembic import context

from blemish.storage.database.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
