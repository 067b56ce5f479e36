"""Search over contacts: an index that lags behind, and records that do not.

As recorded: which records match, and ``total``, come from the index; what is shown of them is the
present state; a record that is gone is counted but not shown. So a search right after a write can
miss a record, find it under its old values, or say ``total: 1`` above an empty page. Adapters that
decide by search what to create make duplicates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from .answers import Answer, Json, bad_request, object_of
from .portal import Portal
from .records import names_to_read, show

MAX_GROUPS = 5
MAX_FILTERS = 6
MAX_LIMIT = 200
MAX_RESULTS = 10_000

Filter = tuple[str, Callable[[str | None], bool]]


def search_contacts(portal: Portal, body: object) -> Answer:
    """POST search."""
    request = object_of(body)
    limit, after = int(request.get("limit", 10)), int(request.get("after") or 0)
    if not 0 <= limit <= MAX_LIMIT:
        raise bad_request(f"limit must be between 0 and {MAX_LIMIT}")
    if after + limit > MAX_RESULTS:
        raise bad_request(f"Searches return at most {MAX_RESULTS} results")
    groups = _groups(request.get("filterGroups", []))
    names = names_to_read(request.get("properties"))
    matched = sorted(
        record_id
        for record_id, values in _candidates(portal, request.get("filterGroups", []))
        if not groups
        or any(all(test(values.get(name)) for name, test in group) for group in groups)
    )
    page = matched[after : after + limit]
    alive = [portal.contacts[key] for key in page if key in portal.contacts]
    answer: Json = {
        "total": len(matched),
        "results": [show(contact, names, portal) for contact in alive],
    }
    if len(matched) > after + limit:
        answer["paging"] = {"next": {"after": str(after + limit)}}
    return Answer(200, answer)


def refresh_index(portal: Portal, record_ids: list[int] | None) -> None:
    """Let search see the present state of these records, or of all."""
    for record_id in list(portal.stale) if record_ids is None else record_ids:
        portal.stale.pop(record_id, None)


def _candidates(
    portal: Portal, groups: list[Json]
) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """Record id and indexed values of everything that could match.

    When every group asks for one address the e-mail index names the few that could: an account of
    20,000 contacts must not be walked for each.
    """
    horizon = portal.clock() - portal.search_lag_s
    for record_id, versions in list(portal.stale.items()):
        while versions and versions[0][0] <= horizon:
            versions.popleft()
        if not versions:
            del portal.stale[record_id]
            continue
        known = versions[0][1]
        if known is not None:
            yield record_id, known
    emails = [_email_asked(group) for group in groups]
    if emails and all(email is not None for email in emails):
        named = {portal.by_email[email] for email in emails if email in portal.by_email}
        live = [portal.contacts[record_id] for record_id in named]
    else:
        live = list(portal.contacts.values())
    for contact in live:
        if contact.record_id not in portal.stale:
            yield contact.record_id, _Indexed(contact.read)


def _email_asked(group: Json) -> str | None:
    for each in group.get("filters", []):
        if each.get("propertyName") == "email" and each.get("operator") == "EQ":
            return str(each.get("value", "")).lower()
    return None


class _Indexed(dict[str, str | None]):
    """The values of a live contact, read only when a filter asks."""

    def __init__(self, read: Callable[[str], str | None]) -> None:
        super().__init__()
        self._read = read

    def get(self, name: str, default: object = None) -> str | None:
        return self._read(name)


def _groups(raw: object) -> list[list[Filter]]:
    if not isinstance(raw, list) or len(raw) > MAX_GROUPS:
        raise bad_request(f"Searches take at most {MAX_GROUPS} filterGroups")
    groups = []
    for group in raw:
        filters = group.get("filters", [])
        if not filters or len(filters) > MAX_FILTERS:
            raise bad_request(f"A filterGroup takes 1 to {MAX_FILTERS} filters")
        groups.append([_filter(each) for each in filters])
    return groups


def _filter(raw: Json) -> Filter:
    name, operator = str(raw.get("propertyName")), str(raw.get("operator"))
    value = str(raw.get("value", "")).lower()
    values = {str(each).lower() for each in raw.get("values", [])}
    high = str(raw.get("highValue", "")).lower()
    tests: dict[str, Callable[[str], bool]] = {
        "EQ": lambda text: text == value,
        "NEQ": lambda text: text != value,
        "IN": lambda text: text in values,
        "NOT_IN": lambda text: text not in values,
        "HAS_PROPERTY": lambda text: text != "",
        "NOT_HAS_PROPERTY": lambda text: text == "",
        "LT": lambda text: text != "" and _key(text) < _key(value),
        "LTE": lambda text: text != "" and _key(text) <= _key(value),
        "GT": lambda text: text != "" and _key(text) > _key(value),
        "GTE": lambda text: text != "" and _key(text) >= _key(value),
        "BETWEEN": lambda text: text != "" and _key(value) <= _key(text) <= _key(high),
        "CONTAINS_TOKEN": lambda text: _holds_token(text, value),
        "NOT_CONTAINS_TOKEN": lambda text: not _holds_token(text, value),
    }
    if operator not in tests:
        raise bad_request(f"{operator} is not a valid operator")
    test = tests[operator]
    return name, lambda text: test((text or "").lower())


def _key(text: str) -> tuple[int, float, str]:
    """Numbers by size, everything else by its letters."""
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text


def _holds_token(text: str, wanted: str) -> bool:
    pattern = re.escape(wanted).replace(r"\*", ".*")
    return any(re.fullmatch(pattern, token) for token in [text, *re.split(r"[\s@.]+", text)])
