"""Pushes to any URL: the smallest destination, and the one to copy for a new vendor.

Each batch is one ``POST`` of JSON; ``action`` is add, update or remove, and null clears::

    {"kind": "record" or "membership", "audience": name or null,
     "changes": [{"id": 1, "action": "add", "match_value": e-mail, "properties": {"group": "vip"}}]}

The receiver answers 2xx with ``{"results": [{"id": 1, "outcome": "delivered", "code": ""}]}``, the
outcomes being those of :class:`connector.domain.Outcome`; a change that the results leave out is
unknown and sent again. **A 2xx without results means that all of the batch was delivered.** 400,
409, 413 and 422 refuse the batch as a whole (the engine halves it); 429 and 5xx are retried.

``token`` is sent as bearer; ``secret`` signs the body (``X-Liftline-Signature: sha256=<hmac>``).
``Idempotency-Key`` is a digest of the body, so a receiver may ignore a batch that it has seen.

For another vendor, copy this file and change the options, ``_body`` (changes to a request) and
``_results`` (answer to results). Time-outs, retries, limits and redaction stay in
:mod:`destinations.http`. Then subclass :class:`destinations.conformance.DestinationConformance`.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Self

import httpx
from pydantic import BaseModel, ValidationError
from pydantic import Field as Constraint

from connector.domain import (
    Audience,
    Capabilities,
    Change,
    Finding,
    Kind,
    Level,
    Outcome,
    PropertyValue,
    Rate,
    RecordResult,
)
from connector.errors import TransientError
from destinations.http import HttpClient, RetryPolicy
from destinations.options import Options, RateLimits, SecureUrl, Token, rates_of, read_options
from destinations.traffic import Traffic
from destinations.values import as_text, set_aside


class WebhookOptions(Options):
    """What the configuration may say; unknown keys are errors, common ones are the engine's."""

    url: SecureUrl
    token: Token | None = None
    secret: Token | None = None
    batch: int = Constraint(default=500, ge=1, le=10_000)
    rate_limit: RateLimits = Constraint(default_factory=dict)
    match_on: str = "email"
    timeout: float = Constraint(default=30.0, gt=0, le=300)


class _Result(BaseModel):
    """One entry of the receiver's answer. Untrusted, so checked; no free text is taken over."""

    id: int
    outcome: Outcome
    code: str = Constraint(default="", pattern=r"^[A-Z0-9_]{0,64}$")


class _Answer(BaseModel):
    results: list[_Result]


class Webhook:
    """Posts batches of changes to one URL; ``traffic`` counts the requests."""

    def __init__(
        self,
        name: str,
        options: WebhookOptions,
        *,
        transport: httpx.BaseTransport | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.name = name
        self.traffic = Traffic()
        self._options = options
        token = options.token.get_secret_value() if options.token else ""
        self._http = HttpClient(
            name=name,
            base_url=options.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            rates=self.capabilities.rates,
            timeout_s=options.timeout,
            retry=retry,
            recorder=self.traffic,
            transport=transport,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the engine may ask for. Whether people are created is the receiver's business."""
        size = self._options.batch
        rates = rates_of(self._options.rate_limit) or (Rate(10, 1.0),)
        match_on = self._options.match_on
        return Capabilities(max_records=size, max_members=size, rates=rates, match_on=match_on)

    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any]) -> Self:
        """Build from the configuration's options."""
        return cls(name, read_options(WebhookOptions, name, options))

    def check(self) -> Sequence[Finding]:
        """Send an empty batch, which tries the URL and the credentials and changes nobody."""
        self._post(None, [])
        return [Finding(Level.OK, f"destinations.{self.name}", "The receiver answers.")]

    def find_audience(self, name: str, audience_id: str | None) -> Audience | None:
        """Only an audience that we have pushed before is known; the receiver is not asked."""
        return Audience(name, audience_id) if audience_id else None

    def ensure_audience(self, name: str) -> Audience:
        """Audiences come into being with their first batch, so the name is the id."""
        return Audience(name, name)

    def push(self, audience: Audience | None, changes: Sequence[Change]) -> list[RecordResult]:
        """Send one batch. Errors of the batch as a whole are raised by the HTTP client."""
        sendable, answered = set_aside(changes)
        if sendable:
            answered += self._results(self._post(audience, sendable), sendable)
        return answered

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._http.close()

    def _post(self, audience: Audience | None, changes: Sequence[Change]) -> httpx.Response:
        body = self._body(audience, changes)
        headers = {"Content-Type": "application/json"}
        headers["Idempotency-Key"] = hashlib.sha256(body).hexdigest()
        if self._options.secret is not None:
            key = self._options.secret.get_secret_value().encode()
            digest = hmac.new(key, body, hashlib.sha256).hexdigest()
            headers["X-Liftline-Signature"] = f"sha256={digest}"
        url = self._options.url
        return self._http.request("POST", url, template="batch", content=body, headers=headers)

    def _body(self, audience: Audience | None, changes: Sequence[Change]) -> bytes:
        """Changes, in our words, to a request, in the vendor's."""
        entries = [
            {
                "id": change.change_id,
                "action": change.action,
                "match_value": change.match_value,
                "properties": {name: _json(value) for name, value in change.properties.items()},
            }
            for change in changes
        ]
        kind = Kind.RECORD if audience is None else Kind.MEMBERSHIP
        name = None if audience is None else audience.audience_id
        return json.dumps({"kind": kind, "audience": name, "changes": entries}).encode()

    def _results(self, response: httpx.Response, changes: Sequence[Change]) -> list[RecordResult]:
        """The vendor's answer, to exactly one result for each change."""
        if b'"results"' not in response.content:
            return [RecordResult(change.change_id, Outcome.DELIVERED) for change in changes]
        results: list[_Result] | None = None
        with contextlib.suppress(ValidationError):  # whose text would quote the answer
            results = _Answer.model_validate_json(response.content).results
        if results is None:
            raise TransientError(f"{self.name}: the receiver's results cannot be read.")
        told = {one.id: RecordResult(one.id, one.outcome, code=one.code) for one in results}
        return [
            told.get(change.change_id)
            or RecordResult(change.change_id, Outcome.DEFERRED, code="NO_ANSWER")
            for change in changes
        ]


def _json(value: PropertyValue) -> str | int | float | bool | None:
    """Numbers, truth values and null as JSON has them; money and dates as text."""
    return as_text(value) if isinstance(value, (Decimal, date)) else value
