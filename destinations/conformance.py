# ruff: noqa: S101 - these are tests
"""The laws that every destination keeps, as a test class to subclass.

A third party's whole test file is a window on its vendor and three lines::

    class TestMine(DestinationConformance):
        @pytest.fixture
        def vendor(self) -> Iterator[Vendor]:
            yield MyVendor(...)

The window (:class:`Vendor`) looks at the vendor behind the adapter's back: a sandbox, a fake
server, a folder. Laws that a destination's capabilities rule out are skipped with the reason.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest

from connector.domain import (
    Action,
    Audience,
    Change,
    Field,
    FieldType,
    Kind,
    Outcome,
    PropertyValue,
    RecordResult,
)
from connector.errors import AuthenticationError, DestinationError
from connector.ports import DefinesFields, Destination, FindsRecords, Flushes, ReadsMembers

GROUP = Field("liftline_group", "Group", FieldType.TEXT, "Conformance: any text.")
ORDERS = Field("liftline_orders", "Orders", FieldType.NUMBER, "Conformance: a number.")
LIST = "Conformance | win-back"
THREADS = 4


class Vendor(Protocol):
    """What a test sees of the vendor without the adapter."""

    def destination(self, creates: bool) -> Destination:
        """A new adapter, set to create unknown people or not (where it has the choice)."""
        ...

    def stranger(self) -> Destination | None:
        """An adapter whose credentials the vendor refuses; None where there are none."""
        ...

    def know(self, match_values: Sequence[str]) -> None:
        """Let the vendor know these people, as if they had always been there."""
        ...

    def properties(self, match_value: str) -> Mapping[str, str] | None:
        """What the vendor holds of a person, as text, cleared ones absent; None if nobody."""
        ...

    def members(self, audience: Audience) -> set[str]:
        """Match values of everybody on the list, in truth."""
        ...

    def n_writes(self) -> int:
        """How many writes the vendor has carried out so far."""
        ...


def person(n: int) -> str:
    """A match value for tests."""
    return f"conformance.{n}@example.org"


class DestinationConformance:
    """Subclass with a fixture ``vendor``; see the module's text."""

    @pytest.fixture
    def destination(self, vendor: Vendor) -> Iterator[Destination]:
        """The adapter under test: it creates nobody unless it cannot help it."""
        made = vendor.destination(creates=False)
        _prepare(made)
        yield made
        made.close()

    @pytest.fixture
    def creating(self, vendor: Vendor) -> Iterator[Destination]:
        """The adapter under test, allowed to create people."""
        made = vendor.destination(creates=True)
        _prepare(made)
        yield made
        made.close()

    # -- answers

    def test_every_change_gets_one_result(self, vendor: Vendor, destination: Destination) -> None:
        """Known and unknown people alike."""
        vendor.know([person(1), person(2)])
        _push(destination, None, _records([1, 2, 3], "vip"))
        audience = destination.ensure_audience(LIST)
        _push(destination, audience, _members(destination, [1, 2, 3]))

    def test_an_empty_batch_has_no_results(self, destination: Destination) -> None:
        """And does not trouble the vendor."""
        assert list(destination.push(None, [])) == []
        assert list(destination.push(destination.ensure_audience(LIST), [])) == []

    # -- properties

    def test_properties_arrive(self, vendor: Vendor, destination: Destination) -> None:
        """Text and numbers, and nothing that was not sent."""
        vendor.know([person(1), person(2)])
        assert _outcomes(_push(destination, None, _records([1, 2], "vip"))) == {Outcome.DELIVERED}
        assert _held(vendor, person(1)) == {GROUP.name: "vip", ORDERS.name: "1"}

    def test_pushing_properties_twice_is_pushing_once(
        self, vendor: Vendor, destination: Destination
    ) -> None:
        """The answers may be lost; the second push must not harm."""
        vendor.know([person(1), person(2)])
        batch = _records([1, 2], "vip")
        _push(destination, None, batch)
        once = [_held(vendor, person(n)) for n in (1, 2)]
        assert _outcomes(_push(destination, None, batch)) == {Outcome.DELIVERED}
        assert [_held(vendor, person(n)) for n in (1, 2)] == once

    def test_order_within_a_batch_does_not_matter(
        self, vendor: Vendor, destination: Destination
    ) -> None:
        """A batch is a set."""
        vendor.know([person(1), person(2)])
        _push(destination, None, list(reversed(_records([1, 2], "vip"))))
        assert _held(vendor, person(1))[ORDERS.name] == "1"
        assert _held(vendor, person(2))[ORDERS.name] == "2"

    def test_none_clears(self, vendor: Vendor, destination: Destination) -> None:
        """And leaves the other properties alone."""
        vendor.know([person(1)])
        _push(destination, None, _records([1], "vip"))
        cleared = _push(destination, None, [_record(2, 1, {GROUP.name: None}, Action.UPDATE)])
        assert _outcomes(cleared) == {Outcome.DELIVERED}
        assert _held(vendor, person(1)) == {ORDERS.name: "1"}

    def test_unicode_survives(self, vendor: Vendor, destination: Destination) -> None:
        """Values are people's words."""
        vendor.know([person(1)])
        text = "Größe „L“, 東京 🛋, a=b;c|d, \"quoted\" 'text'"
        _push(destination, None, [_record(1, 1, {GROUP.name: text})])
        assert _held(vendor, person(1))[GROUP.name] == text

    def test_a_repeated_change_is_harmless(self, vendor: Vendor, destination: Destination) -> None:
        """The same person twice in a batch: one result for each, and the values are there."""
        vendor.know([person(1), person(2)])
        batch = [_record(n, 1, {GROUP.name: "vip"}) for n in (1, 2)]
        assert _outcomes(_push(destination, None, batch)) == {Outcome.DELIVERED}
        assert _held(vendor, person(1)) == {GROUP.name: "vip"}

    def test_a_full_batch_of_records(self, vendor: Vendor, destination: Destination) -> None:
        """As many as the capabilities promise."""
        size = destination.capabilities.max_records
        vendor.know([person(n) for n in range(size)])
        results = _push(destination, None, _records(list(range(size)), "vip"))
        assert _outcomes(results) == {Outcome.DELIVERED}

    def test_an_unknown_person_is_missing(self, vendor: Vendor, destination: Destination) -> None:
        """Where nobody may be created, the vendor stays as it was."""
        if destination.capabilities.creates:
            pytest.skip("this destination always creates people")
        (result,) = _push(destination, None, _records([1], "vip"))
        assert result.outcome is Outcome.MISSING
        assert vendor.properties(person(1)) is None

    def test_an_unknown_person_is_created(self, vendor: Vendor, creating: Destination) -> None:
        """Where people may be created; once, however often it is pushed."""
        if not creating.capabilities.creates:
            pytest.skip("this destination creates nobody")
        assert _outcomes(_push(creating, None, _records([1], "vip"))) == {Outcome.DELIVERED}
        assert _outcomes(_push(creating, None, _records([1], "vip"))) == {Outcome.DELIVERED}
        assert _held(vendor, person(1)) == {GROUP.name: "vip", ORDERS.name: "1"}

    # -- lists

    def test_ensuring_a_list_twice_is_ensuring_once(self, destination: Destination) -> None:
        """The same id, and it can be found by it and only by it."""
        audience = destination.ensure_audience(LIST)
        again = destination.ensure_audience(LIST)
        assert (again.audience_id, again.created) == (audience.audience_id, False)
        found = destination.find_audience(LIST, audience.audience_id)
        assert found is not None
        assert found.audience_id == audience.audience_id

    def test_an_absent_list_is_not_found(self, vendor: Vendor, destination: Destination) -> None:
        """Looking for it does not make it."""
        before = vendor.n_writes()
        assert destination.find_audience("Conformance | absent", None) is None
        assert vendor.n_writes() == before

    def test_members_come_and_go(self, vendor: Vendor, destination: Destination) -> None:
        """In batches of additions, removals, or both."""
        vendor.know([person(n) for n in (1, 2, 3)])
        audience = destination.ensure_audience(LIST)
        joined = _push(destination, audience, _members(destination, [1, 2]))
        assert _outcomes(joined) == {Outcome.DELIVERED}
        assert _listed(vendor, destination, audience) == {person(1), person(2)}
        mixed = [
            *_members(destination, [3]),
            *_members(destination, [1], Action.REMOVE, first_id=10),
        ]
        assert _outcomes(_push(destination, audience, mixed)) == {Outcome.DELIVERED}
        assert _listed(vendor, destination, audience) == {person(2), person(3)}

    def test_pushing_members_twice_is_pushing_once(
        self, vendor: Vendor, destination: Destination
    ) -> None:
        """A member who joins again is no error, nor one who leaves again."""
        vendor.know([person(1), person(2)])
        audience = destination.ensure_audience(LIST)
        for action, there in ((Action.ADD, {person(1)}), (Action.REMOVE, set[str]())):
            for _ in range(2):
                results = _push(destination, audience, _members(destination, [1], action))
                assert _outcomes(results) == {Outcome.DELIVERED}
                assert _listed(vendor, destination, audience) == there

    def test_removing_a_stranger_is_delivered(
        self, vendor: Vendor, destination: Destination
    ) -> None:
        """Whoever is not on the list, or not known at all, has left it."""
        vendor.know([person(1)])
        audience = destination.ensure_audience(LIST)
        results = _push(destination, audience, _members(destination, [1, 2], Action.REMOVE))
        assert _outcomes(results) == {Outcome.DELIVERED}

    def test_a_full_batch_of_members(self, vendor: Vendor, destination: Destination) -> None:
        """As many as the capabilities promise."""
        size = destination.capabilities.max_members
        vendor.know([person(n) for n in range(size)])
        audience = destination.ensure_audience(LIST)
        results = _push(destination, audience, _members(destination, list(range(size))))
        assert _outcomes(results) == {Outcome.DELIVERED}
        assert len(_listed(vendor, destination, audience)) == size

    def test_members_can_be_read_back(self, vendor: Vendor, destination: Destination) -> None:
        """Exactly those who were pushed, each once."""
        if not isinstance(destination, ReadsMembers):
            pytest.skip("this destination cannot read its lists")
        vendor.know([person(1), person(2)])
        audience = destination.ensure_audience(LIST)
        changes = _members(destination, [1, 2])
        results = _push(destination, audience, changes)
        by_id = {change.change_id: change for change in changes}
        expected = sorted(one.record_id or by_id[one.change_id].match_value for one in results)
        assert sorted(destination.members(audience)) == expected

    # -- manners

    def test_known_people_are_found(self, vendor: Vendor, destination: Destination) -> None:
        """By the match value that was asked for, and nobody else."""
        if not isinstance(destination, FindsRecords):
            pytest.skip("this destination cannot look people up")
        vendor.know([person(1)])
        assert set(destination.find([person(1), person(2)])) == {person(1)}

    def test_check_writes_nothing(self, vendor: Vendor, destination: Destination) -> None:
        """It may be run against a live account at any time."""
        before = vendor.n_writes()
        assert list(destination.check())
        assert vendor.n_writes() == before

    def test_bad_credentials_are_told_apart(self, vendor: Vendor) -> None:
        """So that the engine stops instead of trying again."""
        stranger = vendor.stranger()
        if stranger is None:
            pytest.skip("this destination has no credentials")
        try:
            with pytest.raises(AuthenticationError):
                stranger.check()
            with pytest.raises(AuthenticationError):
                stranger.push(None, _records([1], "vip"))
        finally:
            stranger.close()

    def test_it_is_silent_about_people(
        self, vendor: Vendor, destination: Destination, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No address and no value in logs, results, reprs or errors."""
        vendor.know([person(1)])
        said: list[str] = [repr(destination), str(destination)]
        with caplog.at_level(logging.DEBUG):
            for destined in (destination, vendor.stranger()):
                if destined is None:
                    continue
                try:
                    audience = destined.ensure_audience(LIST)
                    results = _push(destined, None, _records([1, 2], "confidential"))
                    results += _push(destined, audience, _members(destined, [1, 2]))
                    said += [f"{one.code} {one.message}" for one in results]
                except DestinationError as error:
                    said += [str(error), repr(error), repr(error.__cause__)]
                    said.append(repr(error.__context__))
                if destined is not destination:
                    destined.close()
        for text in (*said, caplog.text):
            assert "conformance." not in text
            assert "confidential" not in text

    def test_threads_may_push_at_once(self, vendor: Vendor, destination: Destination) -> None:
        """The engine uses as many as the capabilities allow."""
        size = min(25, destination.capabilities.max_records)
        vendor.know([person(n) for n in range(THREADS * size)])
        batches = [_records(list(range(n * size, (n + 1) * size)), "vip") for n in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as pool:
            answers = list(pool.map(lambda batch: destination.push(None, batch), batches))
        assert {one.outcome for answer in answers for one in answer} == {Outcome.DELIVERED}
        _flush(destination)
        for n in range(THREADS * size):
            assert _held(vendor, person(n))[ORDERS.name] == str(n)

    def test_closing_twice_is_closing_once(self, vendor: Vendor) -> None:
        """The engine closes in a ``finally``."""
        made = vendor.destination(creates=False)
        made.close()
        made.close()


def _prepare(destination: Destination) -> None:
    if isinstance(destination, DefinesFields):
        destination.ensure_fields([GROUP, ORDERS])
        assert list(destination.ensure_fields([GROUP, ORDERS])) == []


def _record(
    change_id: int, n: int, properties: Mapping[str, PropertyValue], action: Action = Action.ADD
) -> Change:
    return Change(
        change_id, Kind.RECORD, action, f"profile-{n}", person(n), properties=dict(properties)
    )


def _records(people: Sequence[int], group: str) -> list[Change]:
    return [
        _record(change_id, n, {GROUP.name: group, ORDERS.name: n})
        for change_id, n in enumerate(people, start=1)
    ]


def _members(
    destination: Destination, people: Sequence[int], action: Action = Action.ADD, first_id: int = 1
) -> list[Change]:
    ids: Mapping[str, str] = {}
    if destination.capabilities.needs_record_id and isinstance(destination, FindsRecords):
        ids = destination.find([person(n) for n in people])
    return [
        Change(change_id, Kind.MEMBERSHIP, action, f"profile-{n}", person(n), ids.get(person(n)))
        for change_id, n in enumerate(people, start=first_id)
    ]


def _push(
    destination: Destination, audience: Audience | None, changes: Sequence[Change]
) -> list[RecordResult]:
    """Push, insist on one result for each change, and let the vendor see it."""
    results = list(destination.push(audience, changes))
    assert sorted(one.change_id for one in results) == sorted(one.change_id for one in changes)
    _flush(destination)
    return results


def _flush(destination: Destination) -> None:
    if isinstance(destination, Flushes):
        destination.flush()


def _outcomes(results: Sequence[RecordResult]) -> set[Outcome]:
    return {result.outcome for result in results}


def _held(vendor: Vendor, match_value: str) -> dict[str, str]:
    """Our properties of a person, without those that are cleared."""
    held = vendor.properties(match_value)
    assert held is not None
    return {name: held[name] for name in (GROUP.name, ORDERS.name) if held.get(name)}


def _listed(vendor: Vendor, destination: Destination, audience: Audience) -> set[str]:
    _flush(destination)
    return vendor.members(audience)
