"""The tables of the state database.

Two ledgers, because a person's properties and a list membership live on different keys at a vendor.
Both are keyed by the *identity at the vendor* (``match_key``, a digest of what the vendor matches
on) rather than by ``profile_id``: when a person changes the e-mail address, the old identity leaves
and the new one joins, and when two profiles turn out to be one, the row merely changes its owner.
Keyed by profile, both cases need two rows under one key, and the second is lost.

Times are ISO-8601 text in UTC, so that SQLite, Postgres and Arrow read them alike and they sort as
they are.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column(
        "status", sa.Text, nullable=False
    ),  # running | succeeded | partial | held | failed | interrupted
    sa.Column("plan_id", sa.Text),
    sa.Column("as_of", sa.Text),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("finished_at", sa.Text),
    sa.Column("config_digest", sa.Text),
    sa.Column("summary", sa.Text, nullable=False, server_default="{}"),
)

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("plan_id", sa.Text, primary_key=True),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("as_of", sa.Text, nullable=False),
    sa.Column("config_digest", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),  # planned | applied | held
    sa.Column("seal", sa.Text),  # digest of the plan's files
)

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("approval_id", sa.Integer, primary_key=True),
    sa.Column("plan_id", sa.Text, nullable=False),
    sa.Column("guards", sa.Text, nullable=False),
    sa.Column("approver", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

profile_keys = sa.Table(
    "profile_keys",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key_digest", sa.Text, primary_key=True),
    sa.Column("profile_id", sa.Text, nullable=False),
)

profile_merges = sa.Table(
    "profile_merges",
    metadata,
    sa.Column("from_profile_id", sa.Text, primary_key=True),
    sa.Column("into_profile_id", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

profile_splits = sa.Table(
    "profile_splits",
    metadata,
    sa.Column("from_profile_id", sa.Text, primary_key=True),
    sa.Column("into_profile_id", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
)

table_counts = sa.Table(
    "table_counts",
    metadata,
    sa.Column("table_name", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("n_rows", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("fitted_at", sa.Text, nullable=False),
    sa.Column("as_of", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("applied_at", sa.Text),
)

labels = sa.Table(
    "labels",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("profile_id", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("previous_label", sa.Text),
    sa.Column("since", sa.Text, nullable=False),
)

segment_state = sa.Table(
    "segment_state",
    metadata,
    sa.Column("segment", sa.Text, primary_key=True),
    sa.Column("profile_id", sa.Text, primary_key=True),
    sa.Column("is_member", sa.Integer, nullable=False),
    sa.Column("since", sa.Text, nullable=False),
    sa.Column(
        "streak", sa.Integer, nullable=False
    ),  # distinct as_of dates with the same raw answer
    sa.Column("last_as_of", sa.Text, nullable=False),
)

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("profile_id", sa.Text, primary_key=True),
    sa.Column("arm", sa.Text, nullable=False),
    sa.Column("bucket", sa.BigInteger, nullable=False),
    sa.Column("first_eligible_at", sa.Text, nullable=False),
    sa.Column("config_version", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("offer", sa.Text),  # of the treatment arm, where a campaign tries several
)

arm_shares = sa.Table(
    "arm_shares",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("config_version", sa.Text, primary_key=True),
    sa.Column("arm", sa.Text, primary_key=True),
    sa.Column("share", sa.Float, nullable=False),
)

offer_shares = sa.Table(
    "offer_shares",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("config_version", sa.Text, primary_key=True),
    sa.Column("offer", sa.Text, primary_key=True),
    sa.Column("share", sa.Float, nullable=False),
)

would_send = sa.Table(
    "would_send",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("profile_id", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, primary_key=True),  # when the plan decided, one instant for all arms
    sa.Column("arm", sa.Text, nullable=False),
    sa.Column("decision", sa.Text, nullable=False),  # yes | no
    sa.Column("reason", sa.Text, nullable=False, server_default=""),  # why no
    sa.Column("run_id", sa.Text, nullable=False),
)

audiences = sa.Table(
    "audiences",
    metadata,
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("audience_id", sa.Text, nullable=False),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("arm", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),  # present | deleted
    sa.Column("since", sa.Text, nullable=False),
    sa.Column("reconciled_at", sa.Text),  # when its members were last read; NULL: never since then
)

foreign_members = sa.Table(
    "foreign_members",
    metadata,
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column("audience_id", sa.Text, primary_key=True),
    sa.Column("member", sa.Text, primary_key=True),  # the vendor's record id
)

records = sa.Table(
    "records",
    metadata,
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column("match_key", sa.Text, primary_key=True),
    sa.Column("profile_id", sa.Text, nullable=False),
    sa.Column("match_value", sa.Text, nullable=False),
    sa.Column("record_id", sa.Text),
    sa.Column("presence", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text),
    sa.Column(
        "fields", sa.Text, nullable=False, server_default="[]"
    ),  # our properties that may hold a value
    sa.Column("blocked_fingerprint", sa.Text),
    sa.Column("blocked_code", sa.Text),
    sa.Column("checked_at", sa.Text),  # when the vendor last said that it has no such person
    sa.Column("version", sa.Integer, nullable=False),
)

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column("audience_id", sa.Text, primary_key=True),
    sa.Column("match_key", sa.Text, primary_key=True),
    sa.Column("profile_id", sa.Text, nullable=False),
    sa.Column("presence", sa.Text, nullable=False),
    sa.Column("claims", sa.Text, nullable=False, server_default=""),  # campaigns, comma separated
    sa.Column("blocked_fingerprint", sa.Text),
    sa.Column("blocked_code", sa.Text),
    sa.Column("version", sa.Integer, nullable=False),
)

row_issues = sa.Table(
    "row_issues",
    metadata,
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
