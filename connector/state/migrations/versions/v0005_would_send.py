"""The ghost-send log: who would be sent a campaign, of every arm alike.

Starts empty: what an older version would have sent to whom is not known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add ``would_send``."""
    op.create_table(
        "would_send",
        sa.Column("campaign", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("profile_id", sa.Text, primary_key=True),
        sa.Column("at", sa.Text, primary_key=True),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("run_id", sa.Text, nullable=False),
    )
