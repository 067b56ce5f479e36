"""Which of several offers a treated person has, and the shares that offers were drawn with.

Whoever was assigned before has none: their campaign had one strategy.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add ``assignments.offer`` and ``offer_shares``."""
    op.add_column("assignments", sa.Column("offer", sa.Text))
    op.create_table(
        "offer_shares",
        sa.Column("campaign", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("config_version", sa.Text, primary_key=True),
        sa.Column("offer", sa.Text, primary_key=True),
        sa.Column("share", sa.Float, nullable=False),
    )
