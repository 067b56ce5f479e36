import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.domain import Level
from connector.profiles.consent import check_consent, resolve_consent
from connector.profiles.spec import ConsentSpec, PersonKey
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import AS_OF, put, understand, utc

T = utc(2025, 6, 1)
NOW = AS_OF.replace(tzinfo=None)


def record(status, at, person="a@x.de", purpose="marketing", channel="email"):
    return {
        "person": person,
        "purpose": purpose,
        "channel": channel,
        "status": status,
        "at": at,
    }


def standing(rows, spec=None):
    """What stands: {(purpose, channel): status} of one person, and the report."""
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "consents", rows)
        report = resolve_consent(warehouse, spec or ConsentSpec(), as_of=AS_OF)
        assert report.records.n_accounted == report.records.n_in == len(rows)
        found = warehouse.rows("SELECT s.purpose, s.channel, s.status FROM consent_standing AS s")
    return {(p, c): s for p, c, s in found}, report


EMAIL = ("marketing", "email")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], {}),
        ([record("granted", T)], {EMAIL: "granted"}),
        ([record("Subscribed ", T, person=" A@X.de")], {EMAIL: "granted"}),
        ([record("granted", T), record("no", T + timedelta(days=1))], {EMAIL: "withdrawn"}),
        ([record("granted", T + timedelta(days=1)), record("no", T)], {EMAIL: "granted"}),
        # Of two at one moment the withdrawal wins.
        ([record("granted", T), record("withdrawn", T)], {EMAIL: "withdrawn"}),
        # A yes at or after as_of is not known yet; a no is heard, whatever its clock says.
        ([record("granted", NOW)], {}),
        ([record("granted", T), record("withdrawn", NOW)], {EMAIL: "withdrawn"}),
        ([record("withdrawn", NOW), record("granted", NOW + timedelta(1))], {EMAIL: "withdrawn"}),
        # A word that nobody explained neither grants nor lets an older yes stand.
        ([record("granted", T), record("opted_in", T + timedelta(days=1))], {}),
        ([record("opted_in", T), record("granted", T + timedelta(days=1))], {EMAIL: "granted"}),
        ([record(None, T + timedelta(days=1)), record("granted", T)], {}),
        # A withdrawal without a time counts as the newest; a yes without one is no yes.
        ([record("granted", T), record("withdrawn", None)], {EMAIL: "withdrawn"}),
        ([record("granted", None)], {}),
        # A withdrawal without a channel counts for all of them.
        (
            [record("yes", T), record("no", T + timedelta(days=1), channel=None)],
            {EMAIL: "withdrawn"},
        ),
        ([record("yes", T), record("yes", T, channel=None)], {EMAIL: "granted"}),
        ([record("granted", T, person="nobody")], {}),
    ],
)
def test_what_stands(rows, expected):
    assert standing(rows)[0] == expected


def test_purposes_and_channels_are_apart():
    rows = [
        record("granted", T),
        record("withdrawn", T, purpose="Profiling"),
        record("granted", T, channel="SMS"),
    ]
    found, report = standing(rows)
    assert found == {
        EMAIL: "granted",
        ("profiling", "email"): "withdrawn",
        ("marketing", "sms"): "granted",
    }
    assert (report.n_granted, report.n_withdrawn) == (2, 1)
    assert set(standing(rows, ConsentSpec(purposes=("marketing",)))[0]) == {
        EMAIL,
        ("marketing", "sms"),
    }


RECORDS = st.lists(
    st.builds(
        record,
        st.sampled_from(["granted", "withdrawn", "maybe"]),
        st.sampled_from([T, T + timedelta(hours=1), T + timedelta(hours=2), NOW]),
        person=st.sampled_from(["a@x.de", "b@x.de"]),
        channel=st.sampled_from(["email", "sms"]),
    ),
    max_size=12,
)


@given(RECORDS, st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_latest_record_wins_in_any_order(rows, rnd: random.Random):
    """Against the rule in plain Python: by time, of equals the most cautious, a no at any time."""
    caution = {"granted": 0, "maybe": 1, "withdrawn": 2}
    expected = {}
    for row in sorted(rows, key=lambda r: (r["at"], caution[r["status"]])):
        if row["at"] < NOW or row["status"] == "withdrawn":
            expected[row["person"], row["purpose"], row["channel"]] = row["status"]
    expected = {key: status for key, status in expected.items() if status != "maybe"}
    rnd.shuffle(rows)
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "consents", rows)
        resolve_consent(warehouse, ConsentSpec(), as_of=AS_OF)
        found = warehouse.rows(
            "SELECT s.person, s.purpose, s.channel, s.status FROM consent_standing AS s"
        )
    assert {(p, u, c): s for p, u, c, s in found} == expected


def test_faulty_records_are_set_aside_without_an_address():
    rows = [
        record("granted", T, person="not an address"),
        record("granted", None),
        record("opted_in", T),
        record("granted", NOW),
    ]
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "consents", rows)
        resolve_consent(warehouse, ConsentSpec(), as_of=AS_OF)
        aside = warehouse.rows("SELECT q.reason, q.n, q.row_key FROM quarantined_consents AS q")
    assert sorted((reason, n) for reason, n, _ in aside) == [
        ("missing_at", 1),
        ("unknown_status", 1),
        ("unreadable_person", 1),
    ]
    assert not any("@" in key for _, _, key in aside)


@pytest.mark.parametrize("key", [PersonKey.EMAIL, PersonKey.CUSTOMER_ID])
def test_permissions_belong_to_profiles(key):
    people = {"1": "a@x.de", "2": "A@x.de", "3": "c@x.de", "4": None}
    name = (lambda c: people[c]) if key is PersonKey.EMAIL else (lambda c: c)
    rows = [
        record("granted", T, person=name("1")),
        record("withdrawn", T + timedelta(days=1), person=name("2")),
        record("granted", T, person=name("3")),
        record("granted", T, person="gone@x.de"),
    ]
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": c, "email": e} for c, e in people.items()])
        put(warehouse, "consents", rows)
        understand(warehouse, consent=ConsentSpec(key=key))
        found = warehouse.rows(
            "SELECT c.customer_id, p.status FROM permissions AS p"
            " JOIN profile_customers AS c ON c.profile_id = p.profile_id"
        )
    assert sorted(found) == [("1", "withdrawn"), ("2", "withdrawn"), ("3", "granted")]


def test_without_a_consent_table_nobody_has_consented():
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": "1", "email": "a@x.de"}])
        understand(warehouse)
        assert warehouse.rows("SELECT * FROM permissions") == []


def levels(rows, previous, share=0.3):
    _, report = standing(rows)
    return [f.level for f in check_consent(report, previous_rows=previous, max_drop_share=share)]


def test_a_consent_table_that_broke_is_an_error_and_withdrawals_are_not():
    yes = [record("granted", T, person=f"p{i}@x.de") for i in range(10)]
    no = [record("withdrawn", T, person=f"p{i}@x.de") for i in range(10)]
    odd = [record("opted_in", T, person=f"p{i}@x.de") for i in range(10)]
    assert levels([], None) == [Level.ERROR]
    assert levels(yes, None) == [Level.OK]
    assert levels(no, 10) == [Level.OK]
    assert levels(yes[:7], 10) == [Level.OK]
    assert levels(yes[:6], 10) == [Level.ERROR]
    assert levels(odd, 10) == [Level.ERROR]
    assert levels(yes[:9] + odd[9:], 10) == [Level.WARNING]


def test_a_consent_table_whose_records_cannot_be_used_is_an_error():
    def untimed(n):
        return [record("granted", None if i < n else T, person=f"p{i}@x.de") for i in range(10)]

    def of_another_purpose(n):
        return [record("granted", T, person=f"p{i}@x.de", purpose="news") for i in range(n)]

    assert levels(untimed(3), 10) == [Level.OK]
    assert levels(untimed(4), 10) == [Level.ERROR]
    assert levels(of_another_purpose(10), 10) == [Level.OK]
    later = [record("granted", NOW, person=f"p{i}@x.de") for i in range(10)]
    assert levels(later, 10) == [Level.OK]


def test_unknown_words_are_named_where_they_are_plain():
    def message(words):
        rows = [record(word, T, person=f"p{i}@x.de") for i, word in enumerate(words)]
        _, report = standing(rows)
        (finding,) = check_consent(report, previous_rows=None, max_drop_share=0.3)
        return finding.message

    told = message(["Opted"] * 3 + ["anna@mail.example", "4915112345678", "opt_in7", "x" * 21])
    assert "(such as 'opted')" in told
    assert not any(part in told for part in ("anna", "4915", "opt_in7", "xxx"))
    told = message(["d", *"aaaa", *"bbb", *"cc"])
    assert "(such as 'a', 'b', 'c')" in told
    assert "such as" not in message([chr(97 + i) * 2 for i in range(13)])
