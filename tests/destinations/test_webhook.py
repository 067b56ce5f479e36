"""The webhook: what a receiver gets, and how its answer is read."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import date
from decimal import Decimal

import httpx
import pytest

from connector.domain import Action, Audience, Change, Kind, Outcome
from connector.errors import (
    AuthenticationError,
    BatchRejectedError,
    ConfigError,
    DestinationError,
    TransientError,
)
from connector.ports import Destination
from destinations.http import RetryPolicy
from destinations.webhook import Webhook, WebhookOptions

from .receiver import Receiver

LIST = Audience("Win back", "Win back")


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture
def hook(receiver):
    options = {
        "url": receiver.url,
        "token": receiver.token,
        "secret": "signing-key",
        "rate_limit": {"per_1s": 1000},
    }
    made = Webhook("hook", WebhookOptions.model_validate(options), retry=RetryPolicy(2, 5.0, 0.01))
    yield made
    made.close()


def changes(*numbers, properties=None):
    return [
        Change(n, Kind.RECORD, Action.ADD, f"p{n}", f"p{n}@example.org", None, properties or {})
        for n in numbers
    ]


def answering(receiver, status, body):
    receiver.answer = lambda batch: (
        status,
        body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


def test_it_is_a_destination(hook):
    assert isinstance(hook, Destination)


def test_a_batch_is_one_post_of_json_exactly_as_documented(receiver, hook):
    hook.push(
        LIST,
        [Change(7, Kind.MEMBERSHIP, Action.REMOVE, "p7", "p7@example.org")],
    )
    hook.push(
        None,
        changes(
            8,
            properties={
                "n": 1,
                "f": 1.5,
                "b": True,
                "none": None,
                "d": date(2026, 3, 2),
                "m": Decimal("9.90"),
                "s": "Größe",
            },
        ),
    )
    membership, record = (json.loads(body) for _, body in receiver.seen)
    assert membership == {
        "kind": "membership",
        "audience": "Win back",
        "changes": [
            {"id": 7, "action": "remove", "match_value": "p7@example.org", "properties": {}}
        ],
    }
    assert record["kind"] == "record"
    assert record["audience"] is None
    assert record["changes"][0]["properties"] == {
        "n": 1,
        "f": 1.5,
        "b": True,
        "none": None,
        "d": "2026-03-02",
        "m": "9.90",
        "s": "Größe",
    }


def test_the_url_is_used_as_it_stands(receiver):
    seen = []

    def handler(request):
        seen.append(str(request.url))
        return httpx.Response(204)

    url = "https://hooks.example.org/a/b?source=liftline"
    hook = Webhook("hook", WebhookOptions(url=url), transport=httpx.MockTransport(handler))
    hook.push(None, changes(1))
    hook.close()
    assert seen == [url]


def test_the_body_is_signed_and_its_key_repeats(receiver, hook):
    for _ in range(2):
        hook.push(None, changes(1))
    (first, body), (second, _) = receiver.seen
    expected = hmac.new(b"signing-key", body, hashlib.sha256).hexdigest()
    assert first["x-liftline-signature"] == f"sha256={expected}"
    assert first["idempotency-key"] == second["idempotency-key"]
    hook.push(None, changes(2))
    assert receiver.seen[2][0]["idempotency-key"] != first["idempotency-key"]


@pytest.mark.parametrize("body", [b"", b"{}", b"OK", b"<html></html>"])
def test_a_success_without_results_means_all(receiver, hook, body):
    answering(receiver, 200, body)
    results = hook.push(None, changes(1, 2))
    assert {one.change_id: one.outcome for one in results} == dict.fromkeys(
        (1, 2), Outcome.DELIVERED
    )


def test_results_are_taken_over(receiver, hook):
    entries = [
        {"id": 1, "outcome": "delivered"},
        {"id": 2, "outcome": "rejected", "code": "INVALID_EMAIL", "message": "p2@example.org"},
        {"id": 3, "outcome": "suppressed"},
        {"id": 4, "outcome": "missing"},
        {"id": 99, "outcome": "delivered"},
    ]
    answering(receiver, 200, {"results": entries})
    results = hook.push(None, changes(1, 2, 3, 4, 5))
    assert [(one.outcome, one.code) for one in results] == [
        (Outcome.DELIVERED, ""),
        (Outcome.REJECTED, "INVALID_EMAIL"),
        (Outcome.SUPPRESSED, ""),
        (Outcome.MISSING, ""),
        (Outcome.DEFERRED, "NO_ANSWER"),
    ]
    assert "example.org" not in repr(results)


def test_empty_results_answer_for_nobody(receiver, hook):
    answering(receiver, 200, {"results": []})
    assert [one.outcome for one in hook.push(None, changes(1))] == [Outcome.DEFERRED]


@pytest.mark.parametrize(
    "body",
    [
        {"results": "all good"},
        {"results": [{"id": "p1@example.org", "outcome": "delivered"}]},
        {"results": [{"id": 1, "outcome": "fine"}]},
        {"results": [{"id": 1, "outcome": "rejected", "code": "p1@example.org"}]},
        b'{"results": [',
    ],
    ids=str,
)
def test_results_that_cannot_be_read_say_nothing(receiver, hook, body):
    answering(receiver, 200, body)
    with pytest.raises(TransientError) as caught:
        hook.push(None, changes(1))
    assert caught.value.applied
    assert "example.org" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BatchRejectedError),
        (422, BatchRejectedError),
        (401, AuthenticationError),
        (503, TransientError),
    ],
)
def test_refusals_have_their_consequences(receiver, hook, status, kind):
    answering(receiver, status, b"")
    with pytest.raises(DestinationError) as caught:
        hook.push(None, changes(1))
    assert type(caught.value) is kind


def test_an_audience_is_known_once_it_has_an_id(hook):
    assert hook.find_audience("Win back", None) is None
    made = hook.ensure_audience("Win back")
    assert hook.find_audience("Win back", made.audience_id) == made


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "url"),
        ({"url": "http://hooks.example.org"}, "https"),
        ({"url": "https://me:canary@hooks.example.org"}, "user name"),
        ({"url": "https://hooks.example.org", "toke": "x"}, "'token'"),
        ({"url": "https://hooks.example.org", "token": "can ary"}, "token"),
        ({"url": "https://hooks.example.org", "batch": 0}, "batch"),
    ],
    ids=str,
)
def test_mistakes_in_the_options(options, says):
    with pytest.raises(ConfigError, match=says) as caught:
        Webhook.from_options("hook", options)
    assert "canary" not in str(caught.value)
