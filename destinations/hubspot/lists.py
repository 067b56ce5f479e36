"""Static lists ("segments" in HubSpot's own words) and who is on them.

Only lists of processing type MANUAL or SNAPSHOT can be edited; a list of the right name that
filters by itself is an error that somebody must settle, never a reason to make a second list.
Members are record ids. Adding a member twice or removing a stranger is no error at HubSpot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from connector.domain import Action, Audience, Change, Outcome, RecordResult
from connector.errors import PermanentError
from destinations.hubspot.answers import (
    DUPLICATE_LIST,
    Answer,
    Json,
    RefusedError,
    Verdict,
    missing,
    refusal,
)
from destinations.hubspot.client import Api
from destinations.hubspot.records import Records, rejected, result_of
from destinations.limits import HUBSPOT_MEMBERSHIP_PAGE

CONTACTS = "0-1"
_SEARCH_PAGE = 100
_OURS = "MANUAL"
_EDITABLE = frozenset({_OURS, "SNAPSHOT"})


class Lists:
    """Finds, makes, reads and edits lists of contacts."""

    def __init__(self, name: str, api: Callable[[], Api], records: Records) -> None:
        self._name = name
        self._api = api
        self._records = records

    def find(self, list_name: str, list_id: str | None) -> Audience | None:
        """The list of that id, else of that name; None when there is none or it was deleted."""
        if list_id is not None and not list_id.isdigit():
            return None
        if list_id is None and "/" in list_name:
            found = self._search(list_name)
        else:
            found = self._look_up(list_name, list_id)
        if found is None or found.get("deletedAt"):
            return None
        kind = str(found.get("processingType"))
        if kind not in _EDITABLE or str(found.get("objectTypeId", CONTACTS)) != CONTACTS:
            raise PermanentError(
                f"{self._name}: the HubSpot list {found.get('listId')} has the name of an audience"
                " but cannot be edited: it filters by itself, or holds no contacts.",
                hint="Rename that list at HubSpot, or name the audience otherwise.",
            )
        return Audience(str(found.get("name") or list_name), str(found["listId"]))

    def _look_up(self, list_name: str, list_id: str | None) -> Json | None:
        if list_id is None:
            answer = self._api().list_by_name(list_name, CONTACTS)
        else:
            answer = self._api().list_by_id(list_id)
        if answer.status == 404:
            return None
        if not answer.ok:
            raise refusal(self._name, "to show a list", answer)
        found: Json = answer.body.get("list") or answer.body
        return found

    def _search(self, list_name: str) -> Json | None:
        """Find a list whose name cannot stand in a path: servers undo a ``%2F`` too early."""
        offset = 0
        while True:
            page = self._api().search_lists(list_name, offset=offset, count=_SEARCH_PAGE)
            if not page.ok:
                raise refusal(self._name, "to search lists", page)
            found = page.body.get("lists") or []
            for one in found:
                if str(one.get("name")).casefold() == list_name.casefold():
                    return dict(one)
            offset += len(found)
            if not found or not page.body.get("hasMore"):
                return None

    def ensure(self, list_name: str) -> Audience:
        """The list of that name, made when there is none."""
        found = self.find(list_name, None)
        if found is not None:
            return found
        answer = self._api().create_list(list_name, CONTACTS, _OURS)
        if answer.ok:
            made = answer.body.get("list") or answer.body
            return Audience(list_name, str(made["listId"]), created=True)
        # Made by somebody else meanwhile, or by a try of ours whose answer was lost.
        found = self.find(list_name, None) if _is_duplicate(answer) else None
        if found is None:
            raise refusal(self._name, "to create a list", answer)
        return found

    def members(self, audience: Audience) -> Iterator[str]:
        """Record ids of everybody on the list."""
        after: str | None = None
        while True:
            page = self._api().members(
                audience.audience_id, after=after, limit=HUBSPOT_MEMBERSHIP_PAGE.value
            )
            if not page.ok:
                raise self._refused(page)
            for member in page.results:
                yield str(member["recordId"])
            paging = page.body.get("paging") or {}
            after = (paging.get("next") or {}).get("after")
            if not after:
                return

    def push(self, audience: Audience, changes: Sequence[Change]) -> list[RecordResult]:
        """One result for each membership change."""
        ids = self._records.find([one.match_value for one in changes if one.record_id is None])
        members = {one.change_id: one.record_id or ids.get(one.match_value) for one in changes}
        leaving = {members[one.change_id] for one in changes if one.action is Action.REMOVE} - {
            None
        }
        joining = {members[one.change_id] for one in changes if one.action is not Action.REMOVE} - {
            None,
            *leaving,
        }
        unknown: set[str] = set()
        if joining or leaving:
            answer = self._api().change_members(
                audience.audience_id,
                add=sorted(filter(None, joining)),
                remove=sorted(filter(None, leaving)),
            )
            if not answer.ok:
                error = self._refused(answer)
                if isinstance(error, RefusedError) and len(changes) == 1:
                    return [result_of(changes[0], rejected(error))]
                raise error
            unknown = {str(one) for one in answer.body.get("recordIdsMissing") or ()}
        return [
            result_of(one, _verdict(one.action, members[one.change_id], leaving, unknown))
            for one in changes
        ]

    def _refused(self, answer: Answer) -> Exception:
        if answer.status == 404:
            return PermanentError(
                f"{self._name}: the HubSpot list does not exist any more.",
                hint="Plan again: the list will be made anew after a look.",
                status=404,
                request_id=answer.request_id,
            )
        return refusal(self._name, "a batch of memberships", answer)


def _verdict(
    action: Action, member: str | None, leaving: set[str | None], unknown: set[str]
) -> Verdict:
    if action is Action.REMOVE:
        return Verdict(Outcome.DELIVERED, member)  # whoever is not there is not on the list
    if member is None or member in unknown:
        return missing()
    if member in leaving:
        # Two of our profiles are one contact there; not contacting is the safe side.
        return Verdict(
            Outcome.DEFERRED,
            member,
            "CONTRADICTION",
            "Another change of the same batch removes the same contact.",
        )
    return Verdict(Outcome.DELIVERED, member)


def _is_duplicate(answer: Answer) -> bool:
    return answer.status == 409 or answer.body.get("subCategory") == DUPLICATE_LIST
