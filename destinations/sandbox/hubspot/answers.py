"""The shapes of HubSpot's error answers, in one place.

All fields of a HubSpot error are documented as optional and they do vary between endpoints: search
limits answer without ``policyName``, validation errors embed JSON in their message, missing records
in a batch are an entry of ``errors`` in an answer that is otherwise a success. The bodies here
follow recorded answers where there are some, and published ones elsewhere; the tests name which.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

PORTAL_ID = 62515
"""The account number that the sandbox claims to be."""

LOCKED = 423
MIGRATING = 477


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client: a status, and a body unless it is None."""

    status: int
    body: Json | None = None


class RefusalError(Exception):
    """A request is refused as a whole: nothing of it is applied."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"refused with {answer.status}")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class PropertyProblem:
    """One property value that a write cannot hold."""

    name: str
    code: str
    message: str


def error_body(message: str, category: str, *, sub_category: str | None = None) -> Json:
    """The common part of every error: status, message, correlation id, category."""
    body: Json = {
        "status": "error",
        "message": message,
        "correlationId": str(uuid.uuid4()),
        "category": category,
    }
    if sub_category is not None:
        body["subCategory"] = sub_category
    return body


def refusal(
    status: int, message: str, category: str, *, sub_category: str | None = None
) -> RefusalError:
    """A plain refusal of the whole request."""
    return RefusalError(Answer(status, error_body(message, category, sub_category=sub_category)))


def bad_request(message: str, *, sub_category: str | None = None) -> RefusalError:
    """400 VALIDATION_ERROR with a message only."""
    return refusal(400, message, "VALIDATION_ERROR", sub_category=sub_category)


def not_found(
    message: str = "resource not found", *, sub_category: str | None = None
) -> RefusalError:
    """404 OBJECT_NOT_FOUND."""
    return refusal(404, message, "OBJECT_NOT_FOUND", sub_category=sub_category)


def conflict(existing_id: int) -> Json:
    """Body of the 409 that a second contact with the same address gets."""
    return error_body(f"Contact already exists. Existing ID: {existing_id}", "CONFLICT")


def object_of(body: object) -> Json:
    """The body of a request that must be a JSON object."""
    if not isinstance(body, dict):
        raise bad_request("Invalid input JSON: expected an object")
    return body


def duplicate_ids(ids: Iterable[str]) -> RefusalError:
    """400 for a batch that names one record twice."""
    return bad_request(f"Duplicate IDs found in batch input: [{', '.join(sorted(set(ids)))}]")


def invalid_properties(problems: Sequence[PropertyProblem]) -> Json:
    """Body of the 400 for values that do not fit; the list is JSON inside the message."""
    listed = [
        {
            "isValid": False,
            "message": problem.message,
            "error": problem.code,
            "name": problem.name,
            "localizedErrorMessage": problem.message,
            "portalId": PORTAL_ID,
        }
        for problem in problems
    ]
    body = error_body(
        f"Property values were not valid: {json.dumps(listed, separators=(',', ':'))}",
        "VALIDATION_ERROR",
    )
    body["errors"] = [
        {
            "message": problem.message,
            "code": problem.code,
            "context": {"propertyName": [problem.name]},
        }
        for problem in problems
    ]
    return body


def missing_records(ids: Sequence[str]) -> Json:
    """The entry of a batch answer's ``errors`` for records that are not there."""
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": "Could not get some CONTACT objects, they may be deleted or not exist. "
        "Check that ids are valid.",
        "context": {"ids": list(ids)},
        "errors": [],
        "links": {},
    }


def record_error(body: Json, context: Mapping[str, Sequence[str]]) -> Json:
    """The entry of a batch answer's ``errors`` for one record that was refused."""
    return {
        "status": "error",
        "category": body["category"],
        "message": body["message"],
        "context": {name: list(values) for name, values in context.items()},
        "errors": body.get("errors", []),
        "links": {},
    }


def unauthorized() -> RefusalError:
    """401: no token, an unknown one, or a revoked one."""
    return refusal(
        401,
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you "
        "can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        "INVALID_AUTHENTICATION",
    )


def missing_scopes(scopes: Sequence[str]) -> RefusalError:
    """403: the token lacks every one of the scopes that would do."""
    body = error_body(
        "This app hasn't been granted all required scopes to make this call. Read more about "
        "required scopes here: https://developers.hubspot.com/scopes.",
        "MISSING_SCOPES",
    )
    body["errors"] = [
        {
            "message": "One or more of the following scopes are required.",
            "context": {"requiredGranularScopes": list(scopes)},
        }
    ]
    body["links"] = {"scopes": "https://developers.hubspot.com/scopes"}
    return RefusalError(Answer(403, body))


def rate_limited(policy: str) -> Json:
    """Body of a 429. The search limit (SECONDLY) answers as recorded: without ``policyName``."""
    body = error_body(f"You have reached your {policy.lower()} limit.", "RATE_LIMITS")
    if policy != "SECONDLY":
        body["errorType"] = "RATE_LIMIT"
        body["policyName"] = policy
    return body


def plain_failure(status: int) -> Json:
    """Body of a failure that has nothing to do with what was asked."""
    known = {
        401: ("Authentication credentials not found.", "INVALID_AUTHENTICATION"),
        403: (
            "This app hasn't been granted all required scopes to make this call.",
            "MISSING_SCOPES",
        ),
        404: ("resource not found", "OBJECT_NOT_FOUND"),
        409: ("Conflict", "CONFLICT"),
        LOCKED: ("The resource is locked by another operation. Try again later.", "LOCKED"),
        MIGRATING: ("This account is being moved between data centres.", "MIGRATION_IN_PROGRESS"),
        500: ("internal error", "INTERNAL_ERROR"),
        502: ("bad gateway", "GATEWAY_ERROR"),
        503: ("service unavailable", "SERVICE_UNAVAILABLE"),
        504: ("gateway timeout", "GATEWAY_TIMEOUT"),
    }
    message, category = known.get(status, ("error", "VALIDATION_ERROR"))
    return error_body(message, category)
