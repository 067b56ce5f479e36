"""Reads HubSpot's answers: what a 429 asks for, what an error means, and nothing personal.

All fields of a HubSpot error are optional, validation errors hide JSON inside their message, and a
success may carry errors of single records. Messages repeat the values that were refused, so only
machine codes, property names and scopes that match strict patterns are taken out of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from connector.domain import Outcome
from connector.errors import BatchRejectedError, DestinationError, PermanentError, TransientError
from destinations.http import Answers, Fault, machine_word
from destinations.limits import HUBSPOT_LOCKED_WAIT_S, HUBSPOT_WINDOW_S
from destinations.pacing import Pause, Stop

Json = Mapping[str, Any]

NOT_FOUND = "OBJECT_NOT_FOUND"
CONFLICT = "CONFLICT"
DUPLICATE_LIST = "ILS.DUPLICATE_LIST_NAMES"

_LOCKED = 423
_SCOPE = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_PROPERTY = re.compile(r"[a-z][a-z0-9_]{0,99}")
_BLOCKED = re.compile(r"gdpr|blocklist", re.IGNORECASE)
_ABSENT = "PROPERTY_DOESNT_EXIST"
_SYSTEMIC = {
    _ABSENT: "does not exist",
    "READ_ONLY_VALUE": "is read-only",
}
_FOR_NOW = frozenset({"RATE_LIMITS", "INTERNAL_ERROR", "LOCKED", "MIGRATION_IN_PROGRESS"})


class RefusedError(BatchRejectedError):
    """HubSpot refuses a whole batch for its content; nothing of it was applied.

    Attributes:
        code: The cause, for the result of the culprit once it stands alone.
    """

    def __init__(self, message: str, *, code: str, status: int, request_id: str) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded answer."""

    status: int
    body: Json
    request_id: str = ""

    @property
    def ok(self) -> bool:
        """Whether HubSpot took the request (some records may still have failed)."""
        return 200 <= self.status < 300

    @property
    def results(self) -> list[Json]:
        """The records that came back."""
        return [one for one in self.body.get("results") or () if isinstance(one, Mapping)]

    @property
    def errors(self) -> list[Json]:
        """The records that failed, as HubSpot describes them."""
        return [one for one in self.body.get("errors") or () if isinstance(one, Mapping)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one record."""

    outcome: Outcome
    record_id: str | None = None
    code: str = ""
    message: str = ""


class HubSpotAnswers(Answers):
    """How HubSpot words "slow down" and "no"."""

    request_id_header = "x-hubspot-correlation-id"

    def pause(self, response: httpx.Response) -> Pause | Stop:
        """429 by its policy (HubSpot sends no ``Retry-After``), 423 by the documented wait."""
        if response.status_code == _LOCKED:
            return Pause(HUBSPOT_LOCKED_WAIT_S.value)
        body = decode(response)
        policy = f"{body.get('policyName') or ''} {body.get('message') or ''}".upper()
        if "DAILY" in policy or response.headers.get("x-hubspot-ratelimit-daily-remaining") == "0":
            return Stop(
                "the account's daily quota of API requests is used up; it resets at midnight in the"
                " time zone of the HubSpot account"
            )
        if "SECONDLY" in policy and "TEN_SECONDLY" not in policy:
            return Pause(1.0)
        window = response.headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
        return Pause(int(window) / 1000 if window.isdigit() else HUBSPOT_WINDOW_S.value)

    def fault(self, response: httpx.Response) -> Fault:
        """The category, and for a 403 the scopes that are missing."""
        body = decode(response)
        scopes = missing_scopes(body)
        hint = ""
        if scopes:
            hint = f"Grant the token the scope {' or '.join(scopes)}."
        elif response.status_code == 401:
            hint = "Check the token: it is unknown, expired or revoked."
        return Fault(machine_word(body.get("category")), hint)


def decode(response: httpx.Response) -> Json:
    """The body as an object; an empty one when it is not JSON."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}


def read(name: str, response: httpx.Response) -> Answer:
    """Decode an answer that the HTTP client let through.

    Raises:
        TransientError: It is a success that is not HubSpot's, such as a proxy's page.
    """
    body = decode(response)
    if response.is_success and not body and response.content.strip() not in (b"", b"{}"):
        raise TransientError(
            f"{name}: a success was answered with something else than JSON.",
            hint="Check base_url and proxies between here and HubSpot.",
            status=response.status_code,
        )
    return Answer(response.status_code, body, HubSpotAnswers().request_id(response))


def missing_scopes(body: Json) -> list[str]:
    """Scopes that a 403 asks for."""
    found: list[str] = []
    for error in body.get("errors") or ():
        context = error.get("context") if isinstance(error, Mapping) else None
        if isinstance(context, Mapping):
            for key in ("requiredGranularScopes", "requiredScopes"):
                found += [s for s in context.get(key) or () if _SCOPE.fullmatch(str(s))]
    return list(dict.fromkeys(found))


def property_problems(body: Json) -> Iterator[tuple[str, str]]:
    """Code and property name of every value that an error complains about."""
    for error in body.get("errors") or ():
        if isinstance(error, Mapping):
            names = (error.get("context") or {}).get("propertyName") or ()
            for name in names if isinstance(names, (list, tuple)) else (names,):
                yield _problem(error.get("code"), name)
    message = str(body.get("message") or "")
    start = message.find("[{")
    if start >= 0:
        try:
            listed, _ = json.JSONDecoder().raw_decode(message[start:])
        except ValueError:
            return
        for one in listed:
            if isinstance(one, Mapping):
                yield _problem(one.get("error"), one.get("name"))


def _problem(code: object, name: object) -> tuple[str, str]:
    return machine_word(code), name if isinstance(name, str) and _PROPERTY.fullmatch(name) else ""


def absent_properties(answer: Answer) -> set[str]:
    """Properties of a refused request that do not exist at HubSpot."""
    return {name for code, name in property_problems(answer.body) if code == _ABSENT and name}


def refusal(name: str, what: str, answer: Answer) -> DestinationError:
    """The error for a batch that HubSpot refuses as a whole (400, 404, 409)."""
    problems = list(property_problems(answer.body))
    systemic = _systemic(name, problems, answer)
    if systemic is not None:
        return systemic
    codes = [code for code, _ in problems if code]
    codes += [machine_word(answer.body.get(key)) for key in ("subCategory", "category")]
    code = next(filter(None, codes), f"HTTP_{answer.status}")
    return RefusedError(
        f"{name}: HubSpot refuses {what} ({code}).",
        code=code,
        status=answer.status,
        request_id=answer.request_id,
    )


def _systemic(name: str, problems: list[tuple[str, str]], answer: Answer) -> PermanentError | None:
    """The error for a cause that every record shares, or None when it may be a single record's."""
    for code, property_name in problems:
        if code in _SYSTEMIC:
            return PermanentError(
                f"{name}: the contact property {property_name or '(unnamed)'!r} "
                f"{_SYSTEMIC[code]} at HubSpot.",
                hint="Map another property, or mend it at HubSpot.",
                status=answer.status,
                request_id=answer.request_id,
            )
    return None


def verdict_of(name: str, error: Json, answer: Answer) -> Verdict:
    """What became of the record that an entry of ``errors`` speaks of.

    Raises:
        PermanentError: The cause is not this record's but the mapping's.
    """
    problems = list(property_problems(error))
    systemic = _systemic(name, problems, answer)
    if systemic is not None:
        raise systemic
    category = machine_word(error.get("category"))
    if category == NOT_FOUND:
        return missing()
    if category in _FOR_NOW:
        return Verdict(Outcome.DEFERRED, code=category, message="HubSpot could not do it just now.")
    if _BLOCKED.search(f"{error.get('subCategory')} {error.get('message')}"):
        return Verdict(
            Outcome.SUPPRESSED,
            code="BLOCKLISTED",
            message="The address is on HubSpot's blocklist of deleted people.",
        )
    code, property_name = next((one for one in problems if one[0]), (category or "REFUSED", ""))
    of = f" the value of {property_name!r}" if property_name else " this record"
    return Verdict(Outcome.REJECTED, code=code, message=f"HubSpot refuses{of} ({code}).")


def missing() -> Verdict:
    """HubSpot has no such contact."""
    return Verdict(Outcome.MISSING, code=NOT_FOUND, message="HubSpot has no such contact.")


def context_values(error: Json, key: str) -> list[str]:
    """The strings under ``context.<key>`` of an error, whether one or many."""
    context = error.get("context")
    found = context.get(key) if isinstance(context, Mapping) else None
    if found is None:
        return []
    return [str(one) for one in (found if isinstance(found, (list, tuple)) else (found,))]
