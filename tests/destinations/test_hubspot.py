"""The HubSpot adapter against the stateful sandbox, over a real socket, with every fault."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal

import httpx
import pytest

from connector.domain import Action, Audience, Change, Field, FieldType, Kind, Level, Outcome
from connector.errors import (
    AuthenticationError,
    BatchRejectedError,
    ConfigError,
    DestinationError,
    PermanentError,
    TransientError,
)
from connector.ports import DefinesFields, Destination, FindsRecords, ReadsMembers
from destinations.http import RetryPolicy
from destinations.hubspot import HubSpot
from destinations.hubspot.adapter import HubSpotOptions
from destinations.hubspot.client import template_of, versioned
from destinations.hubspot.properties import objection
from destinations.sandbox.hubspot import spawn

from .clock import FakeClock

UPDATE, CREATE, READ = "POST .*/batch/update", "POST .*/batch/create", "POST .*/batch/read"
MEMBERS = "PUT .*/memberships"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def sandbox(clock, start_hubspot):
    """HubSpot, on the adapter's own clock, so that windows pass as the adapter sleeps."""
    running = start_hubspot(clock=lambda: 1_700_000_000.0 + clock.now())
    for name in ("rfm_group", "rfm_score"):
        running.controls.define_property(name)
    yield running
    running.request_stop()


@pytest.fixture
def controls(sandbox):
    return sandbox.controls


@pytest.fixture
def make(sandbox, clock):
    """Makes adapters on the sandbox and closes them."""
    made = []

    def adapter(retry=None, transport=None, **options):
        options = {"token": sandbox.token, "base_url": sandbox.url, **options}
        made.append(
            HubSpot(
                "hubspot",
                HubSpotOptions.model_validate(options),
                clock=clock,
                retry=retry,
                transport=transport,
            )
        )
        return made[-1]

    yield adapter
    for one in made:
        one.close()


@pytest.fixture
def hubspot(make):
    return make()


def record(n, properties=None, *, record_id=None, email=None, action=Action.ADD):
    properties = {"rfm_group": "champions"} if properties is None else properties
    return Change(
        n, Kind.RECORD, action, f"p{n}", email or f"p{n}@example.org", record_id, properties
    )


def member(n, record_id=None, action=Action.ADD, email=None):
    return Change(n, Kind.MEMBERSHIP, action, f"p{n}", email or f"p{n}@example.org", record_id)


def known(controls, *numbers):
    return controls.preload_contacts([{"email": f"p{n}@example.org"} for n in numbers])


def calls(controls):
    return [f"{one['method']} {one['path']}" for one in controls.log()]


def by_change(results):
    return {one.change_id: one for one in results}


def outcomes(results):
    return {one.change_id: one.outcome for one in results}


def value(controls, record_id, name="rfm_group"):
    return controls.contacts()[record_id]["properties"].get(name)


class TestContract:
    def test_it_offers_what_it_says(self, hubspot):
        for protocol in (Destination, FindsRecords, ReadsMembers, DefinesFields):
            assert isinstance(hubspot, protocol)
        capabilities = hubspot.capabilities
        assert (capabilities.max_records, capabilities.max_members) == (100, 10_000)
        assert capabilities.needs_record_id
        assert not capabilities.creates

    def test_importing_it_does_not_import_the_official_client(self):
        program = (
            "import sys, destinations.hubspot; "
            "raise SystemExit('hubspot.crm.contacts' in sys.modules or 'hubspot' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", program], check=True)


class TestCalls:
    def test_a_steady_state_update_of_2000_people_is_20_calls_over_few_connections(
        self, controls, make, monkeypatch
    ):
        ids = known(controls, *range(2000))
        connections = []
        connect = socket.create_connection
        monkeypatch.setattr(
            socket, "create_connection", lambda *a, **k: connections.append(a) or connect(*a, **k)
        )
        hubspot = make(rate_limit={"per_10s": 190})
        for start in range(0, 2000, 100):
            batch = [record(n, record_id=ids[n]) for n in range(start, start + 100)]
            assert set(outcomes(hubspot.push(None, batch)).values()) == {Outcome.DELIVERED}
        assert calls(controls) == ["POST /crm/v3/objects/contacts/batch/update"] * 20
        assert len(connections) == 1
        assert hubspot.traffic.requests == 20

    def test_without_record_ids_a_batch_is_two_calls_and_the_ids_come_back(self, controls, hubspot):
        ids = known(controls, 1, 2)
        results = hubspot.push(None, [record(1), record(2)])
        assert [one.record_id for one in results] == ids
        assert [path.rsplit("/", 1)[1] for path in calls(controls)] == ["read", "update"]

    def test_new_people_cost_one_call_more(self, controls, make):
        known(controls, 1)
        results = make(create_missing=True).push(None, [record(1), record(2)])
        assert [path.rsplit("/", 1)[1] for path in calls(controls)] == ["read", "update", "create"]
        assert set(outcomes(results).values()) == {Outcome.DELIVERED}
        assert all(one.record_id in controls.contacts() for one in results)

    @pytest.mark.parametrize("version", ["v3", "2026-03", "2026-09"])
    def test_the_version_is_one_setting(self, controls, make, version):
        hubspot = make(api_version=version, create_missing=True)
        hubspot.ensure_fields([Field("ours", "Ours", FieldType.TEXT)])
        audience = hubspot.ensure_audience("Win back")
        results = hubspot.push(None, [record(1), record(2)])
        hubspot.push(audience, [member(one.change_id, one.record_id) for one in results])
        assert sorted(hubspot.members(audience)) == sorted(one.record_id for one in results)
        assert hubspot.check()
        paths = {one["path"] for one in controls.log() if one["path"].startswith("/crm")}
        wanted = "/crm/v3/" if version == "v3" else f"/{version}"
        assert all(wanted in path for path in paths)

    def test_the_limit_is_kept_and_used(self, controls, make, clock):
        """100 calls at 20 in ten seconds: never a refusal, and nine tenths of the allowance."""
        (record_id,) = known(controls, 1)
        controls.set_limits(per_10s=20)
        hubspot = make(rate_limit={"per_10s": 20}, workers=1)
        began = clock.now()
        for n in range(100):
            hubspot.push(None, [record(n, record_id=record_id)])
        assert controls.traffic()["refused"] == {}
        assert controls.traffic()["peak_per_10s"] <= 20
        assert 99 / (clock.now() - began) >= 0.9 * 2.0

    @pytest.mark.slow
    def test_eight_threads_keep_190_in_ten_seconds_and_use_nine_tenths(self):
        """Real clock, real socket, another process, answers after 200 ms."""
        with spawn(["--per-10s", "190", "--latency-ms", "200"]) as remote:
            remote.controls.define_property("rfm_group")
            (record_id,) = remote.controls.preload_contacts([{"email": "p1@example.org"}])
            hubspot = HubSpot.from_options(
                "h", {"token": remote.token, "base_url": remote.url, "rate_limit": {"per_10s": 190}}
            )
            hubspot.push(None, [record(1, record_id=record_id)])
            began = time.monotonic()
            with ThreadPoolExecutor(8) as pool:
                for n in range(220):
                    pool.submit(hubspot.push, None, [record(n, record_id=record_id)])
            elapsed = time.monotonic() - began
            traffic = remote.controls.traffic()
            hubspot.close()
        assert traffic["accepted"] == 221
        assert traffic["refused"] == {}
        assert 220 / elapsed >= 0.9 * 19.0

    def test_paths_are_rewritten_by_prefix(self):
        assert versioned("/crm/v3/lists/", "2026-09") == "/crm/lists/2026-09"
        assert versioned("/crm/v3/lists/", "v3") == "/crm/v3/lists/"
        assert (
            versioned("/crm/v3/objects/contacts/batch/read", "2026-03")
            == "/crm/objects/2026-03/contacts/batch/read"
        )

    def test_templates_hold_nothing_that_varies(self):
        assert template_of("/crm/v3/lists/77/memberships") == "/crm/v3/lists/{id}/memberships"
        assert (
            template_of("/crm/lists/2026-09/object-type-id/0-1/name/Ada%20%7C%20x")
            == "/crm/lists/2026-09/object-type-id/0-1/name/{name}"
        )


class TestRecords:
    def test_values_arrive_as_text(self, controls, make):
        kinds = {
            "a_text": "string",
            "a_number": "number",
            "a_decimal": "number",
            "a_small": "number",
            "a_bool": "bool",
            "a_date": "date",
            "a_datetime": "datetime",
        }
        for name, kind in kinds.items():
            controls.define_property(name, kind)
        (record_id,) = known(controls, 1)
        sent = {
            "a_text": "Größe “L”",
            "a_number": 7,
            "a_decimal": Decimal("12.50"),
            "a_small": 1e-7,
            "a_bool": True,
            "a_date": date(2026, 3, 2),
            "a_datetime": datetime(2026, 3, 2, 12, 30, tzinfo=UTC),
        }
        (result,) = make().push(None, [record(1, sent, record_id=record_id)])
        assert result.outcome is Outcome.DELIVERED
        held = controls.contacts()[record_id]["properties"]
        assert {name: held[name] for name in kinds} == {
            "a_text": "Größe “L”",
            "a_number": "7",
            "a_decimal": "12.50",
            "a_small": "0.0000001",
            "a_bool": "true",
            "a_date": "2026-03-02",
            "a_datetime": "2026-03-02T12:30:00.000Z",
        }

    def test_a_number_that_is_none_is_rejected_alone(self, controls, hubspot):
        ids = known(controls, 1, 2)
        results = by_change(
            hubspot.push(
                None,
                [
                    record(1, {"rfm_score": float("nan")}, record_id=ids[0]),
                    record(2, record_id=ids[1]),
                ],
            )
        )
        assert (results[1].outcome, results[1].code) == (Outcome.REJECTED, "INVALID_VALUE")
        assert results[2].outcome is Outcome.DELIVERED

    def test_nobody_is_created_by_default(self, controls, hubspot):
        (result,) = hubspot.push(None, [record(1)])
        assert result.outcome is Outcome.MISSING
        assert controls.contacts() == {}

    def test_an_update_never_creates(self, controls, make):
        (result,) = make(create_missing=True).push(None, [record(1, action=Action.UPDATE)])
        assert result.outcome is Outcome.MISSING
        assert controls.contacts() == {}

    @pytest.mark.parametrize("version", ["v3", "2026-09"])
    def test_a_deleted_contact_is_missing_and_the_others_are_written(self, controls, make, version):
        ids = known(controls, 1, 2, 3)
        controls.delete_contacts([ids[1]])
        batch = [record(n, record_id=ids[n - 1], action=Action.UPDATE) for n in (1, 2, 3)]
        results = make(api_version=version).push(None, batch)
        assert outcomes(results) == {
            1: Outcome.DELIVERED,
            2: Outcome.MISSING,
            3: Outcome.DELIVERED,
        }
        assert by_change(results)[2].record_id is None

    def test_a_contact_that_hubspot_leaves_out_is_unknown_not_delivered(self, controls, hubspot):
        ids = known(controls, 1, 2)
        controls.swallow([ids[0]])
        results = hubspot.push(None, [record(n, record_id=ids[n - 1]) for n in (1, 2)])
        assert outcomes(results) == {1: Outcome.DEFERRED, 2: Outcome.DELIVERED}
        assert by_change(results)[1].code == "NO_ANSWER"

    @pytest.mark.parametrize("version", ["v3", "2026-09"])
    def test_a_record_that_is_refused_alone(self, controls, make, version):
        ids = known(controls, 1, 2)
        controls.reject([ids[0]], "INVALID_OPTION")
        controls.reject(["p3@example.org"], "INVALID_EMAIL")
        results = by_change(
            make(api_version=version, create_missing=True).push(
                None,
                [record(1, record_id=ids[0]), record(2, record_id=ids[1]), record(3), record(4)],
            )
        )
        assert (results[1].outcome, results[1].code) == (Outcome.REJECTED, "INVALID_OPTION")
        assert (results[3].outcome, results[3].code) == (Outcome.REJECTED, "INVALID_EMAIL")
        assert results[2].outcome is results[4].outcome is Outcome.DELIVERED

    def test_a_batch_refused_as_a_whole_is_for_the_engine_to_halve(self, controls, hubspot):
        ids = known(controls, 1, 2)
        controls.poison([ids[0]])
        with pytest.raises(BatchRejectedError):
            hubspot.push(None, [record(n, record_id=ids[n - 1]) for n in (1, 2)])
        assert value(controls, ids[1]) is None
        (result,) = hubspot.push(None, [record(1, record_id=ids[0])])
        assert (result.outcome, result.code) == (Outcome.REJECTED, "INVALID_EMAIL")

    def test_a_refusal_after_a_part_was_applied_is_settled_inside(self, controls, make):
        """ "Nothing was applied" would be untrue, so the adapter finds the culprit itself."""
        ids = known(controls, 1)
        controls.poison(["p3@example.org"])
        batch = [record(1, record_id=ids[0]), *(record(n) for n in (2, 3, 4, 5))]
        results = make(create_missing=True).push(None, batch)
        assert outcomes(results) == {
            n: Outcome.REJECTED if n == 3 else Outcome.DELIVERED for n in (1, 2, 3, 4, 5)
        }
        assert len(controls.contacts()) == 4

    def test_a_rule_that_refuses_every_new_contact_is_nobodys_fault(self, controls, make):
        ids = known(controls, 1)
        controls.poison([f"p{n}@example.org" for n in range(2, 30)], "REQUIRED_FIELD")
        batch = [record(1, record_id=ids[0]), *(record(n) for n in range(2, 30))]
        with pytest.raises(PermanentError, match="every one of 28 new contacts"):
            make(create_missing=True).push(None, batch)

    @pytest.mark.parametrize("creating", [False, True])
    def test_an_unknown_property_is_nobodys_fault(self, controls, make, creating):
        if not creating:
            known(controls, 1, 2)
        with pytest.raises(PermanentError, match="'no_such_property' does not exist") as caught:
            make(create_missing=True).push(None, [record(1, {"no_such_property": "x"}), record(2)])
        assert not isinstance(caught.value, BatchRejectedError)

    def test_clearing_a_property_that_was_deleted_there_is_no_fault(self, controls, hubspot):
        known(controls, 1, 2)
        cleared = {"rfm_group": None, "deleted_one": None, "deleted_two": None}
        results = hubspot.push(None, [record(1, cleared), record(2, {"deleted_one": None})])
        assert set(outcomes(results).values()) == {Outcome.DELIVERED}
        with pytest.raises(PermanentError, match="'deleted_one' does not exist"):
            hubspot.push(None, [record(1, {"deleted_one": None}), record(2, {"deleted_one": "x"})])

    def test_a_repeated_record_is_written_once(self, controls, hubspot):
        (record_id,) = known(controls, 1)
        results = hubspot.push(
            None,
            [
                record(1, record_id=record_id, email="p1@example.org"),
                record(2, record_id=record_id, email="p1@example.org"),
                record(3, email="P1@Example.org"),
            ],
        )
        assert set(outcomes(results).values()) == {Outcome.DELIVERED}
        assert controls.contacts()[record_id]["writes"] == 1

    @pytest.mark.parametrize("order", [1, -1])
    def test_two_addresses_of_one_contact_are_one_write_and_the_loser_is_told(
        self, controls, hubspot, order
    ):
        (record_id,) = controls.preload_contacts(
            [{"email": "ada@example.org", "hs_additional_emails": "countess@example.org"}]
        )
        batch = [
            record(1, {"rfm_group": "champions"}, email="ada@example.org"),
            record(2, {"rfm_group": "at_risk"}, email="countess@example.org"),
            record(3, {"rfm_score": "5"}, email="countess@example.org"),
        ][::order]
        results = by_change(hubspot.push(None, batch))
        assert (results[1].outcome, results[1].code) == (Outcome.REJECTED, "DUPLICATE_RECORD")
        assert results[2].outcome is results[3].outcome is Outcome.DELIVERED
        assert {one.record_id for one in results.values()} == {record_id}
        assert value(controls, record_id) == "at_risk"
        assert controls.contacts()[record_id]["writes"] == 1

    def test_find_knows_additional_addresses(self, controls, hubspot):
        (record_id,) = controls.preload_contacts(
            [{"email": "ada@example.org", "hs_additional_emails": "countess@example.org"}]
        )
        found = hubspot.find(["ada@example.org", "countess@example.org", "bob@example.org"])
        assert found == {"ada@example.org": record_id, "countess@example.org": record_id}

    def test_find_takes_any_number(self, controls, hubspot):
        ids = known(controls, *range(250))
        wanted = [f"p{n}@example.org" for n in range(400)]
        assert hubspot.find(wanted) == dict(zip(wanted[:250], ids, strict=True))
        assert len(calls(controls)) == 4

    def test_an_address_that_cannot_be_looked_up_is_not_there(self, controls, make):
        """One that HubSpot will not look for; but when it looks for none, the cause is another."""
        (record_id,) = known(controls, 1)

        class Picky(httpx.HTTPTransport):
            bad = b"odd"

            def handle_request(self, request):
                if request.url.path.endswith("/read") and self.bad in request.read():
                    return httpx.Response(400, json={"category": "VALIDATION_ERROR"})
                return super().handle_request(request)

        picky = Picky()
        hubspot = make(transport=picky)
        people = [f"p{n}@example.org" for n in range(1, 8)]
        assert hubspot.find(["odd@x", *people]) == {"p1@example.org": record_id}
        picky.bad = b"inputs"
        with pytest.raises(BatchRejectedError):
            hubspot.find(people)

    def test_a_change_without_properties_only_looks(self, controls, hubspot):
        (record_id,) = known(controls, 1)
        (result,) = hubspot.push(None, [record(1, {})])
        assert (result.outcome, result.record_id) == (Outcome.DELIVERED, record_id)
        assert [path.rsplit("/", 1)[1] for path in calls(controls)] == ["read"]

    def test_a_removal_clears_and_forgives_absence(self, controls, hubspot):
        (record_id,) = known(controls, 1)
        hubspot.push(None, [record(1)])
        cleared = {"rfm_group": None}
        results = hubspot.push(
            None,
            [record(1, cleared, action=Action.REMOVE), record(2, cleared, action=Action.REMOVE)],
        )
        assert set(outcomes(results).values()) == {Outcome.DELIVERED}
        assert value(controls, record_id) == ""

    def test_somebody_on_the_blocklist_is_suppressed(self, controls, make):
        controls.block_emails(["p1@example.org"])
        results = by_change(make(create_missing=True).push(None, [record(1), record(2)]))
        assert results[1].outcome is Outcome.SUPPRESSED
        assert results[2].outcome is Outcome.DELIVERED


class Meddler(httpx.HTTPTransport):
    """A transport that lets something happen just before a request goes out."""

    def __init__(self, path, action):
        super().__init__()
        self.path, self.action = path, action

    def handle_request(self, request):
        if self.action is not None and self.path in request.url.path:
            action, self.action = self.action, None
            action()
        return super().handle_request(request)


class TestRaces:
    def test_a_contact_created_meanwhile_is_updated(self, controls, make):
        meddler = Meddler("/batch/create", lambda: known(controls, 1))
        hubspot = make(create_missing=True, transport=meddler)
        results = hubspot.push(None, [record(1), record(2)])
        assert set(outcomes(results).values()) == {Outcome.DELIVERED}
        held = controls.contacts()
        assert len(held) == 2
        assert {one["properties"]["rfm_group"] for one in held.values()} == {"champions"}

    def test_a_conflict_for_the_whole_batch_is_resolved(self, controls, make):
        """HubSpot may refuse all for one: here even twice, and with nobody to be found."""
        controls.fail_next(2, status=409, path=CREATE)
        results = make(create_missing=True).push(None, [record(n) for n in range(1, 6)])
        assert set(outcomes(results).values()) <= {Outcome.DELIVERED, Outcome.DEFERRED}
        assert sum(one.outcome is Outcome.DELIVERED for one in results) >= 4
        assert len(controls.contacts()) == sum(one.outcome is Outcome.DELIVERED for one in results)

    def test_a_list_made_meanwhile_is_adopted(self, controls, make):
        made = []
        meddler = Meddler("/lists/", None)
        hubspot = make(transport=meddler)
        hubspot.find_audience("Warm-up", None)
        meddler.path = "/name/"

        def soon():
            meddler.path, meddler.action = (
                "/crm/v3/lists/",
                lambda: made.append(controls.preload_list("Win back")),
            )

        meddler.action = soon
        audience = hubspot.ensure_audience("Win back")
        assert audience == Audience("Win back", made[0], created=False)

    def test_a_property_made_meanwhile_is_taken(self, controls, make):
        meddler = Meddler(
            "/properties/contacts/batch/create", lambda: controls.define_property("ours")
        )
        make(transport=meddler).ensure_fields([Field("ours", "Ours", FieldType.TEXT)])
        assert "ours" in controls.properties()


class TestBrokenConnections:
    @pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
    @pytest.mark.parametrize("path", [READ, UPDATE, CREATE])
    def test_a_dropped_connection_is_sent_again_and_harms_nobody(self, controls, make, fault, path):
        known(controls, 1)
        getattr(controls, fault)(path)
        results = make(create_missing=True).push(None, [record(1), record(2)])
        assert set(outcomes(results).values()) == {Outcome.DELIVERED}
        emails = [one["properties"]["email"] for one in controls.contacts().values()]
        assert sorted(emails) == ["p1@example.org", "p2@example.org"]

    @pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
    @pytest.mark.parametrize("path", [MEMBERS, "GET .*/name/", "POST .*/lists"])
    def test_lists_survive_them_too(self, controls, hubspot, fault, path):
        (record_id,) = known(controls, 1)
        getattr(controls, fault)(path)
        audience = hubspot.ensure_audience("Win back")
        (result,) = hubspot.push(audience, [member(1, record_id)])
        assert result.outcome is Outcome.DELIVERED
        assert controls.members("Win back") == ["p1@example.org"]
        assert len(controls.lists()) == 1

    def test_a_write_whose_answer_comes_too_late_is_unknown(self, controls, make):
        (record_id,) = known(controls, 1)
        controls.stall_after(1.0, UPDATE, times=5)
        hubspot = make(timeout=0.1, retry=RetryPolicy(attempts=2))
        with pytest.raises(TransientError) as caught:
            hubspot.push(None, [record(1, record_id=record_id)])
        assert caught.value.applied
        assert value(controls, record_id) == "champions"

    def test_a_late_answer_is_retried_first(self, controls, make):
        (record_id,) = known(controls, 1)
        controls.stall_after(1.0, UPDATE)
        (result,) = make(timeout=0.1).push(None, [record(1, record_id=record_id)])
        assert result.outcome is Outcome.DELIVERED

    def test_a_vendor_out_of_reach(self, make):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        with pytest.raises(TransientError) as caught:
            make(base_url=f"http://127.0.0.1:{port}").push(None, [record(1)])
        assert not caught.value.applied


class TestRefusals:
    def test_the_ten_second_window_is_waited_for(self, controls, hubspot, clock):
        (record_id,) = known(controls, 1)
        controls.fail_next(1, status=429, path=UPDATE)
        began = clock.now()
        (result,) = hubspot.push(None, [record(1, record_id=record_id)])
        assert result.outcome is Outcome.DELIVERED
        assert clock.now() - began >= 10.0
        assert hubspot.traffic.throttled == 1

    def test_the_limit_of_a_second_is_waited_for(self, controls, hubspot, clock):
        (record_id,) = known(controls, 1)
        controls.add_fault("rate_limit", UPDATE, policy="SECONDLY")
        began = clock.now()
        hubspot.push(None, [record(1, record_id=record_id)])
        assert 1.0 <= clock.now() - began < 5.0

    def test_the_daily_quota_ends_the_run(self, controls, hubspot, clock):
        (record_id,) = known(controls, 1)
        controls.set_limits(daily_remaining=1)
        hubspot.push(None, [record(1, record_id=record_id)])
        began = clock.now()
        for _ in range(3):
            with pytest.raises(TransientError, match="resets at midnight") as caught:
                hubspot.push(None, [record(1, record_id=record_id)])
            assert not caught.value.applied
        assert clock.now() - began < 1.0
        assert controls.traffic()["refused"] == {"DAILY": 1}

    def test_our_own_daily_limit(self, controls, make):
        (record_id,) = known(controls, 1)
        hubspot = make(daily_limit=2)
        for _ in range(2):
            hubspot.push(None, [record(1, record_id=record_id)])
        with pytest.raises(TransientError, match="used up"):
            hubspot.push(None, [record(1, record_id=record_id)])
        assert len(calls(controls)) == 2

    @pytest.mark.parametrize(("status", "at_least_s"), [(423, 2.0), (477, 0.0), (502, 0.0)])
    def test_passing_troubles_pass(self, controls, hubspot, clock, status, at_least_s):
        (record_id,) = known(controls, 1)
        controls.fail_next(2, status=status, path=UPDATE)
        began = clock.now()
        (result,) = hubspot.push(None, [record(1, record_id=record_id)])
        assert result.outcome is Outcome.DELIVERED
        assert clock.now() - began >= 2 * at_least_s

    def test_a_revoked_token(self, controls, sandbox, hubspot):
        controls.revoke_token(sandbox.token)
        with pytest.raises(AuthenticationError) as caught:
            hubspot.push(None, [record(1)])
        assert caught.value.status == 401

    def test_a_missing_scope_is_named(self, controls, sandbox, hubspot):
        (record_id,) = known(controls, 1)
        controls.drop_scope(sandbox.token, "crm.objects.contacts.write")
        with pytest.raises(AuthenticationError, match=r"crm\.objects\.contacts\.write") as caught:
            hubspot.push(None, [record(1, record_id=record_id)])
        assert caught.value.status == 403
        assert caught.value.request_id

    def test_a_proxys_page_is_not_a_success(self, make):
        def proxy(request):
            return httpx.Response(200, text="<html>Please log in</html>")

        with pytest.raises(TransientError, match="JSON"):
            make(transport=httpx.MockTransport(proxy)).push(None, [record(1, record_id="7")])

    def test_an_error_without_a_name_is_not_a_success(self, make):
        """Older and newer answers may say how many failed, but not who."""

        def terse(request):
            if request.url.path.endswith("/read"):
                return httpx.Response(200, json={"results": [{"id": "1"}, {"id": "2"}]})
            return httpx.Response(
                200,
                json={
                    "results": [{"id": "1"}],
                    "numErrors": 1,
                    "errors": [{"category": "VALIDATION_ERROR", "message": "p2@example.org?"}],
                },
            )

        hubspot = make(transport=httpx.MockTransport(terse))
        results = hubspot.push(None, [record(n, record_id=str(n)) for n in (1, 2)])
        assert outcomes(results) == {1: Outcome.DELIVERED, 2: Outcome.REJECTED}


class TestLists:
    @pytest.mark.parametrize("name", ["Shop | win-back 50 % ü", "Shop | A/B test", "a?b#c;d\\e"])
    def test_a_list_is_found_by_name_or_made(self, controls, hubspot, name):
        controls.preload_list(f"{name} (old)")
        assert hubspot.find_audience(name, None) is None
        made = hubspot.ensure_audience(name)
        assert made.created
        again = hubspot.ensure_audience(name)
        assert again == Audience(made.name, made.audience_id, created=False)
        assert controls.lists()[made.audience_id]["processing_type"] == "MANUAL"

    def test_a_list_that_filters_by_itself_is_refused(self, controls, hubspot):
        controls.preload_list("Win back", processing_type="DYNAMIC")
        with pytest.raises(PermanentError, match="cannot be edited"):
            hubspot.ensure_audience("Win back")

    def test_a_deleted_list_is_not_found_and_not_written(self, controls, hubspot):
        (record_id,) = known(controls, 1)
        audience = hubspot.ensure_audience("Win back")
        controls.delete_list(audience.audience_id)
        assert hubspot.find_audience("Win back", audience.audience_id) is None
        with pytest.raises(PermanentError, match="does not exist any more") as caught:
            hubspot.push(audience, [member(1, record_id)])
        assert not isinstance(caught.value, BatchRejectedError)
        with pytest.raises(PermanentError):
            list(hubspot.members(audience))

    @pytest.mark.parametrize("omit", [False, True])
    def test_people_whom_hubspot_does_not_know_are_missing(self, controls, hubspot, omit):
        controls.omit_empty_arrays(omit)
        (record_id,) = known(controls, 1)
        audience = hubspot.ensure_audience("Win back")
        results = hubspot.push(audience, [member(1, record_id), member(2, "999999")])
        assert outcomes(results) == {1: Outcome.DELIVERED, 2: Outcome.MISSING}
        gone = hubspot.push(audience, [member(2, "999999", Action.REMOVE)])
        assert outcomes(gone) == {2: Outcome.DELIVERED}

    def test_members_without_a_record_id_are_looked_up(self, controls, hubspot):
        known(controls, 1)
        audience = hubspot.ensure_audience("Win back")
        results = hubspot.push(audience, [member(1), member(2)])
        assert outcomes(results) == {1: Outcome.DELIVERED, 2: Outcome.MISSING}
        assert controls.members("Win back") == ["p1@example.org"]

    def test_not_contacting_wins_a_contradiction(self, controls, hubspot):
        (record_id,) = known(controls, 1)
        audience = hubspot.ensure_audience("Win back")
        results = hubspot.push(
            audience, [member(1, record_id), member(2, record_id, Action.REMOVE)]
        )
        assert outcomes(results) == {1: Outcome.DEFERRED, 2: Outcome.DELIVERED}
        assert controls.members("Win back") == []

    def test_all_pages_are_read(self, controls, hubspot):
        ids = known(controls, *range(601))
        list_id = controls.preload_list("Win back", ids)
        assert sorted(hubspot.members(Audience("Win back", list_id))) == sorted(ids)
        assert len(calls(controls)) == 3

    def test_strangers_on_the_list_stay(self, controls, hubspot):
        ids = known(controls, 1, 2)
        list_id = controls.preload_list("Win back", [ids[1]])
        audience = hubspot.ensure_audience("Win back")
        assert (audience.audience_id, audience.created) == (list_id, False)
        hubspot.push(audience, [member(1, ids[0])])
        hubspot.push(audience, [member(1, ids[0], Action.REMOVE)])
        assert controls.members("Win back") == ["p2@example.org"]


ALL_TYPES = [
    Field("our_text", "Text", FieldType.TEXT, "What it means"),
    Field("our_number", "Number", FieldType.NUMBER),
    Field("our_bool", "Yes or no", FieldType.BOOL),
    Field("our_date", "Date", FieldType.DATE),
    Field("our_datetime", "Time", FieldType.DATETIME),
]


class TestFields:
    def test_missing_properties_are_made_in_our_group(self, controls, sandbox, hubspot):
        assert hubspot.ensure_fields(ALL_TYPES) == ALL_TYPES
        made = sandbox.portal.properties
        assert {name: made[name].type for name in made if name.startswith("our_")} == {
            "our_text": "string",
            "our_number": "number",
            "our_bool": "bool",
            "our_date": "date",
            "our_datetime": "datetime",
        }
        assert made["our_text"].group == "liftline"
        assert made["our_text"].description == "What it means"

    def test_the_second_time_nothing_is_made(self, controls, hubspot):
        hubspot.ensure_fields(ALL_TYPES)
        controls.clear_log()
        assert hubspot.ensure_fields(ALL_TYPES) == []
        assert calls(controls) == ["GET /crm/v3/properties/contacts"]

    def test_no_fields_no_calls(self, controls, hubspot):
        assert hubspot.ensure_fields([]) == []
        assert calls(controls) == []

    @pytest.mark.parametrize(
        ("theirs", "ours", "fits"),
        [
            ("string", FieldType.TEXT, True),
            ("string", FieldType.NUMBER, True),
            ("number", FieldType.NUMBER, True),
            ("number", FieldType.TEXT, False),
            ("bool", FieldType.BOOL, True),
            ("bool", FieldType.TEXT, False),
            ("date", FieldType.DATETIME, False),
            ("datetime", FieldType.DATE, False),
            ("enumeration", FieldType.TEXT, False),
        ],
    )
    def test_an_existing_property_must_hold_our_values(self, controls, hubspot, theirs, ours, fits):
        controls.define_property("taken", theirs, options=["a", "b"])
        field = Field("taken", "Taken", ours)
        if fits:
            assert hubspot.ensure_fields([field]) == []
        else:
            with pytest.raises(PermanentError, match="'taken' exists at HubSpot as"):
                hubspot.ensure_fields([field])

    def test_a_property_that_hubspot_keeps_to_itself(self, hubspot):
        with pytest.raises(PermanentError, match="read-only"):
            hubspot.ensure_fields([Field("hs_pipeline", "Pipeline", FieldType.TEXT)])

    def test_no_room_for_more(self, controls, hubspot):
        controls.set_custom_property_limit(2)
        with pytest.raises(DestinationError):
            hubspot.ensure_fields(ALL_TYPES)


PROTECTED = [
    "email",
    "hs_email_optout",
    "hs_email_optout_123456",
    "hs_legal_basis",
    "hs_marketable_status",
    "hs_marketable_reason_id",
    "hs_emailconfirmationstatus",
    "hs_email_quarantined",
    "hs_data_privacy_ads_consent",
    "hs_object_id",
    "createdate",
    "lastmodifieddate",
    "hs_analytics_source",
    "hs_additional_emails",
    "num_associated_deals",
    "Not_A_Name",
    "1st",
    "a" * 101,
    "",
]


class TestConsent:
    @pytest.mark.parametrize("name", PROTECTED)
    def test_protected_properties_are_refused_everywhere(self, controls, sandbox, hubspot, name):
        assert objection(name)
        with pytest.raises(ConfigError):
            HubSpot.from_options("h", {"token": "pat-x", "properties": {name: "rfm.group"}})
        with pytest.raises(ConfigError):
            hubspot.ensure_fields([Field(name, "x", FieldType.TEXT)])
        with pytest.raises(PermanentError):
            hubspot.push(None, [record(1, {name: "false"}), record(2)])
        assert calls(controls) == []

    @pytest.mark.parametrize(
        "name",
        ["rfm_group", "lifecyclestage", "clv_365d", "hs_lead_status", "optimal_time", "city"],
    )
    def test_ordinary_ones_are_not(self, name):
        assert objection(name) == ""

    def test_a_run_leaves_consent_alone(self, controls, make):
        hubspot = make(create_missing=True)
        results = hubspot.push(None, [record(1), record(2)])
        audience = hubspot.ensure_audience("Win back")
        hubspot.push(audience, [member(one.change_id, one.record_id) for one in results])
        for contact in controls.contacts().values():
            assert not any("optout" in name or "legal" in name for name in contact["properties"])
        assert not any("communication" in path or "subscri" in path for path in calls(controls))


class TestCheck:
    def test_all_is_well(self, controls, hubspot):
        before = controls.dump()
        findings = hubspot.check()
        assert {one.level for one in findings} == {Level.OK}
        after = controls.dump()
        assert all(before[key] == after[key] for key in ("contacts", "lists", "properties"))

    @pytest.mark.parametrize(
        "scope",
        [
            "crm.objects.contacts.read",
            "crm.objects.contacts.write",
            "crm.lists.read",
            "crm.lists.write",
            "crm.schemas.contacts.write",
        ],
    )
    def test_a_missing_scope_is_an_error_that_names_it(self, controls, sandbox, hubspot, scope):
        controls.drop_scope(sandbox.token, scope)
        errors = [one for one in hubspot.check() if one.level is Level.ERROR]
        assert errors
        assert all(scope in one.hint for one in errors)

    def test_too_little_room_is_a_warning(self, controls, make):
        controls.set_custom_property_limit(3)
        hubspot = make(properties={"a": "x", "b": "y"})
        (warning,) = [one for one in hubspot.check() if one.level is Level.WARNING]
        assert "2 of 3" in warning.message

    def test_a_bad_token_is_raised(self, make):
        with pytest.raises(AuthenticationError):
            make(token="pat-unknown").check()


GOOD = {"token": "pat-x"}


class TestOptions:
    def test_common_keys_pass(self):
        HubSpot.from_options(
            "h",
            {
                **GOOD,
                "type": "hubspot",
                "requires": {"purpose": "marketing", "channel": "email"},
                "match_on": "email",
                "membership": {"as": "static_list"},
                "properties": {"rfm_group": "rfm.group"},
                "on_leave": "clear",
                "send_scores_to_holdouts": False,
                "recheck_missing_after": "7d",
                "rate_limit": {"per_10s": 190},
                "create_missing": False,
            },
        ).close()

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({}, "destinations.h.token"),
            ({"token": ""}, "destinations.h.token"),
            ({"token": "pat canary"}, "destinations.h.token"),
            ({"token": "pat\ncanary"}, "destinations.h.token"),
            ({**GOOD, "tokn": "x"}, "'token'"),
            ({**GOOD, "create_misssing": True}, "'create_missing'"),
            ({**GOOD, "create_missing": "yes"}, "create_missing"),
            ({**GOOD, "rate_limit": {"per_10s": 0}}, "rate_limit"),
            ({**GOOD, "rate_limit": {"per_10": 5}}, "rate_limit"),
            ({**GOOD, "base_url": "http://api.hubapi.com"}, "https"),
            ({**GOOD, "base_url": "https://user:canary@api.hubapi.com"}, "base_url"),
            ({**GOOD, "base_url": "ftp://localhost"}, "https"),
            ({**GOOD, "api_version": "v4"}, "api_version"),
            ({**GOOD, "match_on": "phone"}, "match_on"),
            ({**GOOD, "timeout": 0}, "timeout"),
        ],
        ids=str,
    )
    def test_mistakes_are_named_without_their_values(self, options, says):
        with pytest.raises(ConfigError) as caught:
            HubSpot.from_options("h", options)
        assert says in str(caught.value)
        assert "canary" not in str(caught.value)
        assert caught.value.__context__ is None

    @pytest.mark.parametrize(
        ("limits", "rates", "workers"),
        [
            ({}, [(100, 10.0)], 4),
            ({"per_10s": 190}, [(190, 10.0)], 8),
            ({"per_10s": 250, "per_1s": 30}, [(250, 10.0), (30, 1.0)], 10),
            ({"per_1d": 250_000}, [(100, 10.0), (250_000, 86_400.0)], 4),
        ],
        ids=str,
    )
    def test_limits_are_read_from_the_common_key(self, make, limits, rates, workers):
        capabilities = make(rate_limit=limits).capabilities
        assert [(one.requests, one.seconds) for one in capabilities.rates] == rates
        assert capabilities.workers == workers

    def test_the_token_is_shown_nowhere(self, hubspot, sandbox):
        assert sandbox.token not in repr(hubspot) + str(vars(hubspot)) + repr(hubspot._options)


class TestPrivacy:
    def test_no_refusal_tells_whom_it_was_about(self, controls, sandbox, make, caplog, clock):
        """Every way to fail, with planted addresses and values."""
        hubspot = make(create_missing=True, retry=RetryPolicy(attempts=2))
        email, secret = "canary@example.org", "Canary-Value"
        said = []

        def attempt(changes, audience=None):
            try:
                results = hubspot.push(audience, changes)
                said.extend(repr(one) for one in results)
            except DestinationError as error:
                said.append(f"{error} {error!r} {vars(error)}")
                said.append(repr(error.__cause__) + repr(error.__context__))

        with caplog.at_level(logging.DEBUG):
            controls.define_property("a_number", "number")
            attempt([record(1, {"a_number": secret}, email=email), record(2)])
            attempt([record(1, {"a_number": secret}, email=email)])
            attempt([record(1, {"nope": secret}, email=email)])
            attempt([record(1, {"rfm_group": secret}, email="canary@no-such-place")])
            audience = hubspot.ensure_audience(f"List of {email}")
            attempt([member(1, "not-a-number", email=email)], audience)
            for status in (400, 401, 403, 404, 409, 423, 429, 500):
                for path in (READ, UPDATE, CREATE, MEMBERS):
                    controls.clear_faults()
                    controls.fail_next(5, status=status, path=path)
                    attempt([record(1, {"rfm_group": secret}, email=email), record(2)])
                    attempt([member(1, email=email)], audience)
            controls.clear_faults()
            controls.poison([email])
            attempt([record(1, {"rfm_group": secret}, email=email)])
            controls.delete_list(audience.audience_id)
            attempt([member(1, email=email)], audience)
            controls.revoke_token(sandbox.token)
            attempt([record(1, {"rfm_group": secret}, email=email)])
        text = "\n".join(said) + caplog.text
        assert len(said) > 50
        for canary in (email, secret, "canary", sandbox.token):
            assert canary not in text
