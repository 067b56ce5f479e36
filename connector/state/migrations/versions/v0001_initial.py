"""The first shape of the state database."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table of the first release."""
    op.create_table(
        "approvals",
        sa.Column("approval_id", sa.Integer, primary_key=True),
        sa.Column("plan_id", sa.Text, nullable=False),
        sa.Column("guards", sa.Text, nullable=False),
        sa.Column("approver", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
    op.create_table(
        "arm_shares",
        sa.Column("campaign", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("config_version", sa.Text, primary_key=True),
        sa.Column("arm", sa.Text, primary_key=True),
        sa.Column("share", sa.Float, nullable=False),
    )
    op.create_table(
        "assignments",
        sa.Column("campaign", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("profile_id", sa.Text, primary_key=True),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("bucket", sa.BigInteger, nullable=False),
        sa.Column("first_eligible_at", sa.Text, nullable=False),
        sa.Column("config_version", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
    )
    op.create_table(
        "audiences",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("audience_id", sa.Text, nullable=False),
        sa.Column("campaign", sa.Text, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("since", sa.Text, nullable=False),
    )
    op.create_table(
        "foreign_members",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("audience_id", sa.Text, primary_key=True),
        sa.Column("member", sa.Text, primary_key=True),
    )
    op.create_table(
        "labels",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("profile_id", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("previous_label", sa.Text),
        sa.Column("since", sa.Text, nullable=False),
    )
    op.create_table(
        "memberships",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("audience_id", sa.Text, primary_key=True),
        sa.Column("match_key", sa.Text, primary_key=True),
        sa.Column("profile_id", sa.Text, nullable=False),
        sa.Column("presence", sa.Text, nullable=False),
        sa.Column("claims", sa.Text, nullable=False, server_default=""),
        sa.Column("blocked_fingerprint", sa.Text),
        sa.Column("blocked_code", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "models",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("fitted_at", sa.Text, nullable=False),
        sa.Column("as_of", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("applied_at", sa.Text),
    )
    op.create_table(
        "plans",
        sa.Column("plan_id", sa.Text, primary_key=True),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("as_of", sa.Text, nullable=False),
        sa.Column("config_digest", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
    )
    op.create_table(
        "profile_keys",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("key_digest", sa.Text, primary_key=True),
        sa.Column("profile_id", sa.Text, nullable=False),
    )
    op.create_table(
        "profile_merges",
        sa.Column("from_profile_id", sa.Text, primary_key=True),
        sa.Column("into_profile_id", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
    op.create_table(
        "records",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("match_key", sa.Text, primary_key=True),
        sa.Column("profile_id", sa.Text, nullable=False),
        sa.Column("match_value", sa.Text, nullable=False),
        sa.Column("record_id", sa.Text),
        sa.Column("presence", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text),
        sa.Column("fields", sa.Text, nullable=False, server_default="[]"),
        sa.Column("blocked_fingerprint", sa.Text),
        sa.Column("blocked_code", sa.Text),
        sa.Column("checked_at", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "row_issues",
        sa.Column("issue_id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False, index=True),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("audience", sa.Text),
        sa.Column("profile_id", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("plan_id", sa.Text),
        sa.Column("as_of", sa.Text),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("finished_at", sa.Text),
        sa.Column("config_digest", sa.Text),
        sa.Column("summary", sa.Text, nullable=False, server_default="{}"),
    )
    op.create_table(
        "segment_state",
        sa.Column("segment", sa.Text, primary_key=True),
        sa.Column("profile_id", sa.Text, primary_key=True),
        sa.Column("is_member", sa.Integer, nullable=False),
        sa.Column("since", sa.Text, nullable=False),
        sa.Column("streak", sa.Integer, nullable=False),
        sa.Column("last_as_of", sa.Text, nullable=False),
    )
    op.create_table(
        "table_counts",
        sa.Column("table_name", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("n_rows", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
