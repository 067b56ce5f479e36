"""The ledger's table of answers, row by row, and its versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.domain import Action, Change, Kind, Outcome, RecordResult
from connector.state.database import State
from connector.state.learning import Learning
from connector.state.ledger import NOT_FOUND, Intent, Ledger


@pytest.fixture
def state(tmp_path: Path):
    opened = State.open(tmp_path / "state")
    yield opened
    opened.close()


@pytest.fixture
def ledger(state: State) -> Ledger:
    return Ledger(state, "d")


def intent(
    *,
    action: Action = Action.ADD,
    fingerprint: str | None = "f1",
    version: int | None = None,
    key: str = "k",
) -> Intent:
    kind = Kind.RECORD if action is Action.UPDATE else Kind.MEMBERSHIP
    return Intent(
        Change(1, kind, action, "p", "p@example.com", "r"),
        match_key=key,
        fingerprint=fingerprint,
        fields=("a",) if kind is Kind.RECORD and fingerprint else (),
        claims="c",
        expected_version=version,
    )


def row(state: State, table: str) -> dict:
    return state.arrow({"t": f"SELECT * FROM {table}"})["t"].to_pylist()[0]


def go(ledger: Ledger, one: Intent, outcome: Outcome | None, audience: str | None = "l") -> None:
    begun = ledger.begin([one], audience_id=audience)
    assert begun.accepted == (one,)
    results = [] if outcome is None else [RecordResult(1, outcome, code="CODE")]
    ledger.settle(begun, results, audience_id=audience)


@pytest.mark.parametrize(
    ("answer", "presence", "blocked"),
    [
        (Outcome.DELIVERED, "yes", None),
        (Outcome.DEFERRED, "maybe", None),
        (None, "maybe", None),
        (Outcome.REJECTED, "no", "CODE"),
        (Outcome.SUPPRESSED, "no", "CODE"),
        (Outcome.MISSING, "no", NOT_FOUND),
    ],
)
def test_an_addition(state: State, ledger: Ledger, answer, presence: str, blocked) -> None:
    go(ledger, intent(), answer)
    found = row(state, "memberships")
    assert (found["presence"], found["blocked_code"]) == (presence, blocked)


@pytest.mark.parametrize(
    ("answer", "presence"),
    [
        (Outcome.DELIVERED, "no"),
        (Outcome.DEFERRED, "maybe"),
        (None, "maybe"),
        (Outcome.REJECTED, "maybe"),
        (Outcome.SUPPRESSED, "maybe"),
        (Outcome.MISSING, "no"),
    ],
)
def test_a_removal_is_never_blocked(state: State, ledger: Ledger, answer, presence: str) -> None:
    go(ledger, intent(), Outcome.DELIVERED)
    version = row(state, "memberships")["version"]
    go(ledger, intent(action=Action.REMOVE, fingerprint=None, version=version), answer)
    found = row(state, "memberships")
    assert found["presence"] == presence
    assert found["blocked_code"] in (None, NOT_FOUND)


def test_a_rejected_update_leaves_presence_as_before_the_intent(
    state: State, ledger: Ledger
) -> None:
    go(ledger, intent(action=Action.UPDATE), Outcome.DELIVERED, None)
    version = row(state, "records")["version"]
    go(
        ledger,
        intent(action=Action.UPDATE, fingerprint="f2", version=version),
        Outcome.REJECTED,
        None,
    )
    found = row(state, "records")
    assert (found["presence"], found["fingerprint"], found["blocked_fingerprint"]) == (
        "yes",
        "f1",
        "f2",
    )


def test_a_row_that_has_moved_is_not_touched(state: State, ledger: Ledger) -> None:
    go(ledger, intent(), Outcome.DELIVERED)
    before = row(state, "memberships")
    for stale in (None, 1, before["version"] + 1):
        begun = ledger.begin([intent(version=stale)], audience_id="l")
        assert begun.accepted == ()
        assert len(begun.moved) == 1
    assert row(state, "memberships") == before


def test_fields_that_may_hold_a_value_are_never_forgotten(state: State, ledger: Ledger) -> None:
    go(ledger, intent(action=Action.UPDATE), Outcome.DELIVERED, None)
    version = row(state, "records")["version"]
    leaving = Intent(
        Change(1, Kind.RECORD, Action.UPDATE, "p", "p@example.com", "r", {"a": None}),
        "k",
        None,
        expected_version=version,
    )
    ledger.begin([leaving], audience_id=None)  # and then killed
    found = row(state, "records")
    assert (found["presence"], found["fields"]) == ("maybe", '["a"]')


def test_a_vendor_that_knows_nobody_of_an_address_has_nothing_of_ours(
    state: State, ledger: Ledger
) -> None:
    go(ledger, intent(), None)
    Learning(state, "d").learn_records(
        [{"match_key": "k", "profile_id": "p", "match_value": "p@example.com", "record_id": None}],
        at="t",
    )
    assert row(state, "memberships")["presence"] == "no"
    assert row(state, "records")["checked_at"] == "t"


def test_a_lost_list_takes_its_memberships_along(state: State, ledger: Ledger) -> None:
    Learning(state, "d").adopt_audience(
        name="n", audience_id="l", campaign="c", arm="treatment", foreign=["x"], at="t"
    )
    go(ledger, intent(), Outcome.DELIVERED)
    Learning(state, "d").lose_audience("l")
    assert row(state, "memberships")["presence"] == "no"
    assert row(state, "audiences")["status"] == "deleted"
    assert ledger.audiences() == {}


def test_a_list_may_tell_an_id_that_no_record_told(state: State, ledger: Ledger) -> None:
    # As an export of digests does: its members are read back under them.
    one = Intent(Change(1, Kind.MEMBERSHIP, Action.ADD, "p", "p@example.com"), "k", "f")
    begun = ledger.begin([one], audience_id="l")
    version = row(state, "records")["version"]
    ledger.settle(begun, [RecordResult(1, Outcome.DELIVERED, "digest")], audience_id="l")
    found = row(state, "records")
    assert (found["record_id"], found["version"]) == ("digest", version)
    again = Intent(one.change, "k", "f", expected_version=row(state, "memberships")["version"])
    begun = ledger.begin([again], audience_id="l")
    ledger.settle(begun, [RecordResult(1, Outcome.DELIVERED, "another")], audience_id="l")
    assert row(state, "records")["record_id"] == "digest"


@pytest.mark.parametrize(("before", "after"), [(Outcome.DELIVERED, "no"), (None, "maybe")])
def test_only_the_certain_are_taken_off(
    state: State, ledger: Ledger, before: Outcome | None, after: str
) -> None:
    go(ledger, intent(), before)
    version = row(state, "memberships")["version"]
    Learning(state, "d").take_off("l", ["k", "unknown"])
    found = row(state, "memberships")
    assert (found["presence"], found["version"]) == (after, version + (after == "no"))


def test_a_new_id_doubts_all_that_was_known_of_the_old_one(state: State, ledger: Ledger) -> None:
    go(ledger, intent(action=Action.UPDATE), Outcome.DELIVERED, None)
    go(ledger, intent(), Outcome.DELIVERED)
    Learning(state, "d").replace_records([("k", "r2")])
    found = row(state, "records")
    assert (found["record_id"], found["presence"], found["fields"]) == ("r2", "maybe", '["a"]')
    assert row(state, "memberships")["presence"] == "maybe"


def test_nothing_personal_in_the_repr(ledger: Ledger) -> None:
    assert "example.com" not in repr(intent())
