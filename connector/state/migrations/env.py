"""Alembic's entry: runs inside the connection that :mod:`connector.state.database` hands over."""

from alembic import context

from connector.state.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
