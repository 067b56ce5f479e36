"""People who were taken for one and are several again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add ``profile_splits``."""
    op.create_table(
        "profile_splits",
        sa.Column("from_profile_id", sa.Text, primary_key=True),
        sa.Column("into_profile_id", sa.Text, primary_key=True),
        sa.Column("at", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
    )
