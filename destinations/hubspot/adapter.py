"""The HubSpot destination: options, capabilities, checks, and the wiring of its parts.

Facts that shape it: a partial upsert by e-mail does not exist, so record ids are looked up once and
kept by the engine; memberships are addressed by record id only; people that HubSpot does not know
are reported as missing unless ``create_missing`` is set, because every contact may cost money.
Nothing here touches subscriptions or consent.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import httpx
from pydantic import AfterValidator
from pydantic import Field as Constraint

from connector.domain import (
    Audience,
    BillingUnit,
    Capabilities,
    Change,
    Field,
    Finding,
    Level,
    Rate,
    RecordResult,
)
from connector.errors import AuthenticationError, DestinationError
from destinations.http import HttpClient, RetryPolicy
from destinations.hubspot.answers import Answer, HubSpotAnswers, refusal
from destinations.hubspot.client import Api
from destinations.hubspot.lists import CONTACTS, Lists
from destinations.hubspot.properties import objection
from destinations.hubspot.records import Records
from destinations.hubspot.schema import Schema
from destinations.limits import (
    HUBSPOT_DEFAULT_RATE,
    HUBSPOT_MEMBERSHIP_BATCH,
    HUBSPOT_OBJECT_BATCH,
)
from destinations.options import (
    Options,
    RateLimits,
    SecureUrl,
    Token,
    rates_of,
    read_options,
)
from destinations.pacing import QUOTA_FROM_S, Clock
from destinations.traffic import Traffic

DAY_S = 86_400.0
_LATENCY_S = 0.4
_WRITING = ("crm.objects.contacts.write", "crm.lists.write", "crm.schemas.contacts.write")


def _ours(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in properties:
        reason = objection(name)
        if reason:
            raise ValueError(f"the property {name!r} {reason}")
    return properties


class HubSpotOptions(Options):
    """What the configuration may say about a HubSpot destination."""

    token: Token
    create_missing: bool = False
    match_on: Literal["email"] = "email"
    properties: Annotated[Mapping[str, Any], AfterValidator(_ours)] = {}
    rate_limit: RateLimits = Constraint(default_factory=dict)
    daily_limit: int | None = Constraint(default=None, ge=1)
    base_url: SecureUrl = "https://api.hubapi.com"
    api_version: Literal["v3", "2026-03", "2026-09"] = "v3"
    timeout: float = Constraint(default=30.0, gt=0, le=300)
    property_group: str = Constraint(default="liftline", pattern=r"^[a-z][a-z0-9_]{0,99}$")
    workers: int | None = Constraint(default=None, ge=1, le=32)

    @property
    def rates(self) -> tuple[Rate, ...]:
        """All limits to keep: the configured ones, with what every plan has where none is short."""
        rates = rates_of(self.rate_limit)
        if all(rate.seconds >= QUOTA_FROM_S for rate in rates):
            rates = (HUBSPOT_DEFAULT_RATE, *rates)
        return rates if self.daily_limit is None else (*rates, Rate(self.daily_limit, DAY_S))

    @property
    def n_workers(self) -> int:
        """Threads: unless set, as many as keep the rate at a latency of 0.4 s, and no more.

        More would not be quicker and would widen the limiter's margin.
        """
        slowest = min(
            rate.requests / rate.seconds for rate in self.rates if rate.seconds < QUOTA_FROM_S
        )
        return self.workers or max(1, round(slowest * _LATENCY_S))


class HubSpot:
    """Pushes contact properties and list memberships to one HubSpot account.

    Attributes:
        name: The name in the configuration.
        traffic: Counts of requests by path and status.
    """

    def __init__(
        self,
        name: str,
        options: HubSpotOptions,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.name = name
        self.traffic = Traffic()
        self._options = options
        self._http = HttpClient(
            name=name,
            base_url=options.base_url,
            headers={"Authorization": f"Bearer {options.token.get_secret_value()}"},
            rates=options.rates,
            workers=options.n_workers,
            timeout_s=options.timeout,
            retry=retry,
            answers=HubSpotAnswers(),
            recorder=self.traffic,
            transport=transport,
            clock=clock,
        )
        self._making = threading.Lock()
        self._made: Api | None = None
        self._records = Records(
            name, self._api, creates=options.create_missing, workers=options.n_workers
        )
        self._lists = Lists(name, self._api, self._records)
        self._schema = Schema(name, self._api, options.property_group)

    def __repr__(self) -> str:
        return f"HubSpot({self.name!r})"

    def _api(self) -> Api:
        with self._making:
            if self._made is None:
                self._made = Api(self.name, self._http, self._options.api_version)
            return self._made

    @property
    def capabilities(self) -> Capabilities:
        """What HubSpot can do with these options."""
        return Capabilities(
            creates=self._options.create_missing,
            needs_record_id=True,
            max_records=HUBSPOT_OBJECT_BATCH.value,
            max_members=HUBSPOT_MEMBERSHIP_BATCH.value,
            rates=self._options.rates,
            workers=self._options.n_workers,
            billing_unit=BillingUnit.CONTACT,
            match_on=self._options.match_on,
        )

    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any]) -> Self:
        """Build from the configuration's options."""
        return cls(name, read_options(HubSpotOptions, name, options))

    def find_audience(self, name: str, audience_id: str | None) -> Audience | None:
        """The editable list of that id, else of that name."""
        return self._lists.find(name, audience_id)

    def ensure_audience(self, name: str) -> Audience:
        """The list of that name, made when there is none."""
        return self._lists.ensure(name)

    def push(self, audience: Audience | None, changes: Sequence[Change]) -> list[RecordResult]:
        """Carry out one batch of properties, or of memberships of ``audience``."""
        if not changes:
            return []
        if audience is None:
            return self._records.push(changes)
        return self._lists.push(audience, changes)

    def find(self, match_values: Sequence[str]) -> Mapping[str, str]:
        """E-mail -> record id of the contacts that exist; two e-mails may be one contact."""
        return self._records.find(match_values)

    def members(self, audience: Audience) -> Iterator[str]:
        """Record ids of everybody on the list."""
        return self._lists.members(audience)

    def ensure_fields(self, fields: Iterable[Field]) -> Sequence[Field]:
        """Create the contact properties that are missing, in our property group."""
        return self._schema.ensure(fields)

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._http.close()

    # -- liftline check

    def check(self) -> Sequence[Finding]:
        """Try the token, what it may read, and the room for properties; writes nothing.

        Raises:
            AuthenticationError: The token itself is refused.
        """
        subject = f"destinations.{self.name}"
        api = self._api()
        looks = (
            ("contacts", "crm.objects.contacts.read", api.one_contact),
            ("lists", "crm.lists.read", lambda: api.list_by_name("liftline check", CONTACTS)),
            ("contact properties", "crm.schemas.contacts.read", api.all_properties),
        )
        findings = []
        for what, scope, look in looks:
            try:
                answer: Answer = look()
            except AuthenticationError as error:
                if error.status == 401:
                    raise
                findings.append(
                    Finding(
                        Level.ERROR,
                        subject,
                        f"HubSpot does not show its {what}.",
                        error.hint or f"Grant the token the scope {scope}.",
                    )
                )
                continue
            if not answer.ok and answer.status != 404:
                raise refusal(self.name, f"to show its {what}", answer)
            findings.append(Finding(Level.OK, subject, f"HubSpot shows its {what}."))
        findings += [self._writing(subject), self._room(subject)]
        return findings

    def _writing(self, subject: str) -> Finding:
        """Whether the token may write, as HubSpot tells; trying would be writing."""
        try:
            answer = self._api().token_info(self._options.token.get_secret_value())
        except DestinationError:
            answer = Answer(0, {})
        granted = answer.body.get("scopes")
        if not isinstance(granted, list):
            hint = f"The token needs {', '.join(_WRITING)}."
            return Finding(Level.NOTE, subject, "HubSpot does not tell what the token may.", hint)
        lacking = [scope for scope in _WRITING if scope not in granted]
        if lacking:
            hint = f"Grant the token {', '.join(lacking)}."
            return Finding(Level.ERROR, subject, "The token may not write everything.", hint)
        return Finding(Level.OK, subject, "The token may write contacts, lists and properties.")

    def _room(self, subject: str) -> Finding:
        """Whether more custom properties may be made."""
        try:
            answer = self._api().property_limits()
        except DestinationError:
            answer = Answer(0, {})
        for one in answer.body.get("byObjectType") or ():
            if one.get("objectTypeId") == CONTACTS:
                used, limit = int(one["usage"]), int(one["limit"])
                message = f"{used} of {limit} custom contact properties are in use."
                if limit - used < len(self._options.properties):
                    hint = "Delete unused properties at HubSpot, or map fewer."
                    return Finding(Level.WARNING, subject, message, hint)
                return Finding(Level.OK, subject, message)
        return Finding(Level.NOTE, subject, "HubSpot does not tell its limit of properties.")
