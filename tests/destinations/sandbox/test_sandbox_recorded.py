"""The sandbox against 275 recorded exchanges with the real HubSpot (2022), in recorded order.

Statuses, bodies (every key and every value) and rate-limit headers must agree. What may differ is
listed in ALLOWED, each with its reason; a difference that is not on the list fails, and so does an
entry that is never needed.

The sandbox's clock follows the recording's ``Date`` headers, so that times are compared (to the
second) and not ignored, and the recorded account's limit of 100 requests in ten seconds is in
force.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from nock_reader import Exchange, NockSyntaxError, _Parser, read

from destinations.sandbox.hubspot import HubSpotSandbox

SHARED = Path(os.environ.get("LIFTLINE_SHARED", Path(__file__).parents[4] / "shared"))
RECORDING = SHARED / "specs" / "recorded" / "grouparoo-hubspot-crm-v3-contacts.nock.js"

ALLOWED = {
    "api_key": (
        "the recorded first half authenticates with ?hapikey=, which HubSpot ended in "
        "November 2022; a bearer token is sent instead"
    ),
    "token_refresh": (
        "one exchange is with grouparoo's own server, to refresh an OAuth token: not "
        "HubSpot's, skipped"
    ),
    "record_ids": "HubSpot gives out other record ids; they are mapped as creations reveal them",
    "order_in_batches": (
        "answers to batch writes list the records in no particular order: compared by id"
    ),
    "clock": (
        "times agree to 2 seconds: the Date header knows no fractions, and is of the answer, "
        "not of the write"
    ),
    "touched_later": (
        "HubSpot's background work moves lastmodifieddate/updatedAt up to 40 s past the last "
        "write; the sandbox's stays at the last write"
    ),
    "correlation_ids": "correlationId is a fresh UUID in each error: only its form is compared",
    "index_moment": (
        "when the search index catches up with a write is HubSpot's affair (seconds); the "
        "sandbox's lags 40 s, unless it is told to catch up for a record because the "
        "recording shows that HubSpot's had"
    ),
    "remaining_counters": (
        "the Remaining headers depend on the account's other traffic: they must be there and lie "
        "between 0 and the limit"
    ),
    "other_headers": (
        "headers of Cloudflare, of transport and of tracing are not HubSpot's API: only rate-limit "
        "headers, Content-Type, Retry-After and the correlation id of errors are compared"
    ),
    "search_limit_moment": (
        "when the search limit struck depended on others' traffic; the sandbox is told to "
        "refuse there"
    ),
}
CLOCK_S = 2.0
BACKGROUND_S = 40.0
TIME_KEYS = {"createdate", "lastmodifieddate", "createdAt", "updatedAt", "startedAt", "completedAt"}
TOUCHED_KEYS = {"lastmodifieddate", "updatedAt"}
ID_KEYS = {"id", "hs_object_id", "hs_all_contact_vids"}
STEADY_HEADERS = {"daily", "max", "interval-milliseconds", "secondly"}
LIMIT_OF = {
    "daily-remaining": "daily",
    "remaining": "max",
    "secondly-remaining": "secondly",
}
PREFIX = "x-hubspot-ratelimit-"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not RECORDING.exists(), reason=f"recorded traffic missing: {RECORDING}"),
]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Replay:
    """Sends what was recorded and compares what comes back."""

    def __init__(self, sandbox: HubSpotSandbox, clock: list[float]) -> None:
        self.sandbox, self.clock = sandbox, clock
        self.client = httpx.Client(base_url=sandbox.url)
        self.to_sandbox: dict[str, str] = {}
        self.emails: dict[str, set[str]] = {}
        self.used: Counter[str] = Counter()

    def note(self, sandbox_id: str, email: str | None) -> None:
        """Remember every address of a record: its index entry may still be under an old one."""
        if email:
            self.emails.setdefault(sandbox_id, set()).add(email)

    def run(self, exchange: Exchange, n: int) -> None:
        self.clock[0] = max(
            self.clock[0], parsedate_to_datetime(exchange.headers["date"]).timestamp()
        )
        if exchange.status == 429:
            self.used["search_limit_moment"] += 1
            self.sandbox.controls.add_fault("rate_limit", policy="SECONDLY")
        body = self.translate(exchange)
        answer = self.send(exchange, body)
        if exchange.path.endswith("/search") and exchange.status == 200:
            answer = self.catch_up(exchange, body, answer)
        where = f"exchange {n}: {exchange.method} {exchange.path}"
        assert answer.status_code == exchange.status, where
        self.compare_headers(exchange, answer, where)
        if exchange.response == "":
            assert answer.content == b"", where
        else:
            if "/batch/" in exchange.path:
                self.learn_ids(exchange, answer.json())
            self.compare(exchange.response, answer.json(), where)
        if exchange.path.endswith("/batch/update"):
            for each in body["inputs"]:
                self.note(each["id"], each["properties"].get("email"))

    def send(self, exchange: Exchange, body: Any) -> httpx.Response:
        token = self.sandbox.token
        if "hapikey" in exchange.query:
            self.used["api_key"] += 1
        else:
            token = "oauth"
        return self.client.request(
            exchange.method, exchange.path, json=body, headers={"Authorization": f"Bearer {token}"}
        )

    def translate(self, exchange: Exchange) -> Any:
        body = exchange.request
        if "inputs" not in body:
            return body
        inputs = []
        for each in body["inputs"]:
            if "id" in each:
                self.used["record_ids"] += 1
                each = {**each, "id": self.to_sandbox[each["id"]]}
            inputs.append(each)
        return {"inputs": inputs}

    def learn_ids(self, exchange: Exchange, body: Any) -> None:
        """Map the ids of created records by their e-mail, which a batch holds once."""
        ours = {each["properties"]["email"]: each["id"] for each in body["results"]}
        for each in exchange.response["results"]:
            email = each["properties"]["email"]
            self.to_sandbox.setdefault(each["id"], ours[email])
            self.note(ours[email], email)

    def catch_up(self, exchange: Exchange, body: Any, answer: httpx.Response) -> httpx.Response:
        """Let the index catch up, record by record, where the recording shows HubSpot's had."""
        asked = {f["value"] for g in body["filterGroups"] for f in g["filters"]}
        tried: set[str] = set()
        while True:
            assert answer.status_code == 200
            theirs = {self.to_sandbox[each["id"]] for each in exchange.response["results"]}
            ours = {each["id"] for each in answer.json()["results"]}
            behind = theirs ^ ours
            if not behind and exchange.response["total"] != answer.json()["total"]:
                behind = {
                    key
                    for key, emails in self.emails.items()
                    if emails & asked and key not in self.sandbox.controls.contacts()
                }
            with self.sandbox.portal.lock:
                behind = {key for key in behind if int(key) in self.sandbox.portal.stale}
            if not behind - tried:
                return answer
            self.used["index_moment"] += len(behind)
            tried |= behind
            self.sandbox.controls.refresh_search(sorted(behind))
            answer = self.send(exchange, body)

    def compare_headers(self, exchange: Exchange, answer: httpx.Response, where: str) -> None:
        theirs = {k: v for k, v in exchange.headers.items() if k.startswith(PREFIX)}
        ours = {k: v for k, v in answer.headers.items() if k.startswith(PREFIX)}
        assert set(ours) == set(theirs), where
        for name, value in theirs.items():
            if name.removeprefix(PREFIX) in STEADY_HEADERS:
                assert ours[name] == value, f"{where}: {name}"
            else:
                limit = PREFIX + LIMIT_OF[name.removeprefix(PREFIX)]
                assert 0 <= int(ours[name]) <= int(ours[limit]), f"{where}: {name}"
                self.used["remaining_counters"] += 1
        assert answer.headers.get("content-type") == exchange.headers.get("content-type"), where
        for headers in (answer.headers, exchange.headers):
            assert "retry-after" not in headers, where
            if exchange.status >= 400:
                assert "x-hubspot-correlation-id" in headers, where
        self.used["other_headers"] += 1

    def compare(self, theirs: Any, ours: Any, where: str, key: str = "") -> None:
        if isinstance(theirs, dict):
            assert isinstance(ours, dict), where
            assert set(ours) == set(theirs), where
            for name in theirs:
                self.compare(theirs[name], ours[name], f"{where}.{name}", name)
        elif isinstance(theirs, list):
            assert isinstance(ours, list), where
            assert key == "results", where
            self.compare_results(theirs, ours, where)
        elif key in ID_KEYS:
            assert ours == self.to_sandbox[theirs], where
        elif key in TIME_KEYS:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ours), where
            gap = seconds(theirs) - seconds(ours)
            self.used["clock"] += 1
            if key in TOUCHED_KEYS and gap > CLOCK_S:
                self.used["touched_later"] += 1
                assert gap <= BACKGROUND_S, f"{where}: {theirs} and {ours}"
            else:
                assert abs(gap) <= CLOCK_S, f"{where}: {theirs} and {ours}"
        elif key == "correlationId":
            self.used["correlation_ids"] += 1
            assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", ours), where
        else:
            assert ours == theirs, where

    def compare_results(self, theirs: list[Any], ours: list[Any], where: str) -> None:
        wanted = {self.to_sandbox[each["id"]]: each for each in theirs}
        got = {each["id"]: each for each in ours}
        assert len(ours) == len(theirs), where
        assert set(got) == set(wanted), where
        if list(wanted) != list(got):
            self.used["order_in_batches"] += 1
        if "/search" in where:
            for page in (theirs, ours):
                ids = [int(each["id"]) for each in page]
                assert ids == sorted(ids), f"{where}: pages of a search are in the order of ids"
        for key, each in wanted.items():
            self.compare(each, got[key], f"{where}[{key}]")


@pytest.fixture
def replay() -> Iterator[Replay]:
    """A sandbox in the state that the recorded account was in, three days before."""
    clock = [seconds("2022-02-14T21:36:07.649Z")]
    with HubSpotSandbox(
        per_10s=100, daily=250_000, search_per_s=1000, clock=lambda: clock[0]
    ) as sandbox:
        controls = sandbox.controls
        controls.define_property("text_field")
        controls.define_property("number_field", "number")
        controls.define_property("date_field", "date")
        controls.add_token("oauth", kind="oauth")
        replay = Replay(sandbox, clock)
        [made] = controls.preload_contacts([{"email": "grouparoo@demo.com"}])
        replay.to_sandbox["286101"] = made
        clock[0] = seconds("2022-02-14T21:36:16.420Z")
        written = replay.client.patch(
            f"/crm/v3/objects/contacts/{made}",
            json={"properties": {"firstname": "John"}},
            headers={"Authorization": f"Bearer {sandbox.token}"},
        )
        assert written.status_code == 200
        replay.note(made, "grouparoo@demo.com")
        controls.set_search_lag(BACKGROUND_S)
        yield replay
        replay.client.close()


def test_the_recording_is_answered_as_hubspot_did(replay: Replay) -> None:
    exchanges = read(RECORDING)
    assert Counter(each.status for each in exchanges) == {200: 221, 201: 18, 204: 15, 429: 22}
    for n, exchange in enumerate(exchanges):
        if exchange.base != "https://api.hubapi.com:443":
            assert exchange.base == "https://auth.grouparoo.com:443"
            replay.used["token_refresh"] += 1
            continue
        replay.run(exchange, n)
    assert set(replay.used) == set(ALLOWED)
    assert replay.used["search_limit_moment"] == 22
    assert replay.used["token_refresh"] == 1
    assert replay.sandbox.controls.contacts() == {}, "the recording archives all that it created"


@pytest.mark.parametrize(
    "wreck",
    [
        lambda e: e.response["results"][0]["properties"].update(firstname="Jon"),
        lambda e: e.response["results"][0]["properties"].pop("hs_email_domain"),
        lambda e: e.response["results"][0]["properties"].update(city=None),
        lambda e: e.response["results"][0].update(createdAt="2022-02-17T19:20:45.581Z"),
        lambda e: e.response.update(status="PENDING"),
        lambda e: e.headers.pop("x-hubspot-ratelimit-max"),
        lambda e: e.headers.update({"x-hubspot-ratelimit-max": "150"}),
    ],
)
def test_the_comparison_is_not_blind(replay: Replay, wreck: Any) -> None:
    """A doctored recording must fail: each change is of a kind that a wrong sandbox would show."""
    first_create = next(each for each in read(RECORDING) if each.path.endswith("/batch/create"))
    wreck(first_create)
    controls = replay.sandbox.controls
    controls.delete_contacts(list(controls.contacts()))
    with pytest.raises(AssertionError):
        replay.run(first_create, 0)


@pytest.mark.parametrize(
    "text",
    [
        "nock(`template`).get('/').reply(200);",
        "nock('a').get(f()).reply(200);",
        "nock({a: 1, a: 2});",
    ],
)
def test_the_reader_refuses_what_it_does_not_understand(text: str) -> None:
    with pytest.raises(NockSyntaxError):
        list(_Parser(text).chains())


def test_the_recording_is_from_one_day() -> None:
    """The clock only moves forward through it: the order of exchanges is the order of time."""
    times = [parsedate_to_datetime(each.headers["date"]) for each in read(RECORDING)]
    assert times == sorted(times)
    assert times[0] > datetime(2022, 2, 17, tzinfo=UTC)
