"""The durable truth: what was sent, who has which arm, who is who.

Everything else can be computed again.

One relational database through SQLAlchemy Core with Alembic migrations; SQLite in WAL mode by
default, because it commits a batch of a hundred rows in under a millisecond, survives ``kill -9``,
and lets other processes read while a run writes (DuckDB locks its file against everybody, readers
too, which is why state is not kept there).
"""
