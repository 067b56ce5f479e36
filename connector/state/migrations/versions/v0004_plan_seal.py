"""A digest of each plan's files, so that an edited plan is not carried out.

Plans of an older database have none, and are accepted as they are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add ``plans.seal``."""
    op.add_column("plans", sa.Column("seal", sa.Text))
