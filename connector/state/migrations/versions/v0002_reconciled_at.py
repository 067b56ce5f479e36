"""When the members of a list were last read.

Lists of an older database were never read since they were taken over, so they start with NULL and
are read by the next plan.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add ``audiences.reconciled_at``."""
    op.add_column("audiences", sa.Column("reconciled_at", sa.Text))
