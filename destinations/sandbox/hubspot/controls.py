"""The control desk: prepare the sandbox, make it fail, look inside, all behind HubSpot's back.

Arguments and results are plain JSON values, so that the same methods work in the server's own
process and over its ``/_sandbox/`` endpoints
(:class:`~destinations.sandbox.hubspot.server.RemoteSandbox`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from . import lists as list_rules
from . import schema, search
from .answers import Json
from .faults import ALWAYS, Effect, Fault, Knobs
from .limits import RateLimiter
from .portal import SCOPES, Portal, Token


@dataclass
class Controls:
    """The sandbox's control desk. Every method may be called from any thread.

    Attributes:
        portal: The account.
        knobs: Behaviour and planned failures.
        limiter: The request limits.
        requests: The log: one entry for each API request.
    """

    portal: Portal
    knobs: Knobs
    limiter: RateLimiter
    requests: list[Json] = field(default_factory=list)

    # -- prepare

    def preload_contacts(self, contacts: Iterable[Mapping[str, str]]) -> list[str]:
        """Store contacts as they stand, by property; returns their record ids in order.

        ``hs_additional_emails`` (separated by ";") become further addresses, ``hs_object_id`` sets
        the record id. Values are not validated, so that data can be worse than the API would let
        in.

        Raises:
            ValueError: A property does not exist, or an address is in use.
        """
        with self.portal.lock:
            now, ids = self.portal.now(), []
            for given in contacts:
                values = dict(given)
                extra = [each for each in values.pop("hs_additional_emails", "").split(";") if each]
                record_id = values.pop("hs_object_id", None)
                self._refuse_impossible(values, extra)
                if "email" in values:
                    values["email"] = values["email"].strip().lower()
                contact = self.portal.add_contact(
                    values,
                    now=now,
                    extra_emails=extra,
                    record_id=None if record_id is None else int(record_id),
                )
                ids.append(str(contact.record_id))
            return ids

    def preload_list(
        self, name: str, members: Sequence[str] = (), processing_type: str = "MANUAL"
    ) -> str:
        """Make a list with members that somebody else put there; returns its id."""
        with self.portal.lock:
            made = list_rules.add_list(self.portal, name, processing_type)
            ids = [int(each) for each in members]
            unknown = [each for each in ids if each not in self.portal.contacts]
            if unknown:
                raise ValueError(f"{len(unknown)} members are not contacts")
            made.members = dict.fromkeys(ids, made.created_at)
            made.visible = dict(made.members)
            return str(made.list_id)

    def define_property(
        self,
        name: str,
        property_type: str = "string",
        options: Sequence[str] = (),
        unique: bool = False,
    ) -> None:
        """Create a custom property."""
        fields = {"bool": "booleancheckbox", "enumeration": "select", "datetime": "date"}
        with self.portal.lock:
            schema.define(
                self.portal,
                {
                    "name": name,
                    "label": name,
                    "type": property_type,
                    "fieldType": fields.get(
                        property_type, "text" if property_type == "string" else property_type
                    ),
                    "groupName": "contactinformation",
                    "options": [{"label": each, "value": each} for each in options],
                    "hasUniqueValue": unique,
                },
            )

    def write_members(
        self, list_id: str, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Change a list as a colleague would in the user interface: not logged, not counted."""
        with self.portal.lock:
            list_rules.apply_members(
                self.portal,
                self.knobs,
                list_rules.find_list(self.portal, list_id),
                [int(each) for each in add],
                [int(each) for each in remove],
            )

    def delete_list(self, list_id: str) -> None:
        """Delete a list as a colleague would."""
        with self.portal.lock:
            list_rules.delete_list(self.portal, list_id)

    def delete_contacts(self, record_ids: Sequence[str]) -> None:
        """Delete contacts as a colleague would."""
        with self.portal.lock:
            for each in record_ids:
                self.portal.remove_contact(self.portal.contacts[int(each)])

    def block_emails(self, emails: Sequence[str]) -> None:
        """Put addresses on the blocklist of GDPR deletions."""
        with self.portal.lock:
            self.portal.blocked.update(each.lower() for each in emails)

    # -- credentials

    def add_token(self, token: str, scopes: Sequence[str] | None = None, kind: str = "app") -> None:
        """Accept a token; ``kind`` is "app" or "oauth" (whose answers lack the daily headers)."""
        with self.portal.lock:
            granted = set(SCOPES if scopes is None else scopes)
            self.portal.tokens[token] = Token(granted, is_oauth=kind == "oauth")

    def revoke_token(self, token: str) -> None:
        """Every further request with it is answered 401."""
        with self.portal.lock:
            self.portal.tokens.pop(token, None)

    def drop_scope(self, token: str, scope: str) -> None:
        """Requests that need the scope are answered 403."""
        with self.portal.lock:
            self.portal.tokens[token].scopes.discard(scope)

    # -- faults on whole requests

    def add_fault(
        self,
        effect: str,
        path: str = ".*",
        skip: int = 0,
        times: int = 1,
        status: int = 500,
        policy: str = "TEN_SECONDLY_ROLLING",
        seconds: float = 0.0,
        pid: int = 0,
    ) -> None:
        """Plan a failure; see :class:`Fault`. ``times=0`` means for ever."""
        fault = Fault(Effect(effect), path, skip, times or ALWAYS, status, policy, seconds, pid)
        with self.portal.lock:
            self.knobs.faults.append(fault)

    def fail_next(self, times: int = 1, status: int = 500, path: str = ".*", skip: int = 0) -> None:
        """Answer the next matching requests with that status and apply nothing."""
        if status == 429:
            self.add_fault("rate_limit", path, skip, times)
        else:
            self.add_fault("status", path, skip, times, status=status)

    def drop_before(self, path: str = ".*", times: int = 1, skip: int = 0) -> None:
        """Break the connection of matching requests before they are applied."""
        self.add_fault("drop_before", path, skip, times)

    def drop_after(self, path: str = ".*", times: int = 1, skip: int = 0) -> None:
        """Break the connection of matching requests after they were applied."""
        self.add_fault("drop_after", path, skip, times)

    def stall_after(self, seconds: float, path: str = ".*", times: int = 1, skip: int = 0) -> None:
        """Apply matching requests at once, and answer only after that time."""
        self.add_fault("stall_after", path, skip, times, seconds=seconds)

    def kill_at(self, pid: int, n: int, path: str = ".*", when: str = "after") -> None:
        """SIGKILL that process "before" or "after" applying its n-th (from 1) matching request."""
        self.add_fault(f"kill_{when}", path, skip=n - 1, pid=pid)

    def clear_faults(self) -> None:
        """Forget all planned failures and bad records."""
        with self.portal.lock:
            self.knobs.faults.clear()
            self.knobs.records.poisoned.clear()
            self.knobs.records.rejected.clear()
            self.knobs.records.swallowed.clear()

    # -- faults on single records

    def poison(self, names: Sequence[str], code: str = "INVALID_EMAIL") -> None:
        """Refuse every object batch that writes one of these e-mails or record ids, as a whole."""
        with self.portal.lock:
            self.knobs.records.poisoned |= {each.lower(): code for each in names}

    def reject(self, names: Sequence[str], code: str = "INVALID_EMAIL") -> None:
        """Refuse only these e-mails or record ids, where the endpoint can (207)."""
        with self.portal.lock:
            self.knobs.records.rejected |= {each.lower(): code for each in names}

    def swallow(self, names: Sequence[str]) -> None:
        """Apply writes of these e-mails or record ids, but leave them out of the answer."""
        with self.portal.lock:
            self.knobs.records.swallowed.update(each.lower() for each in names)

    # -- behaviour

    def set_latency(self, seconds: float) -> None:
        """Every API answer takes at least this long."""
        with self.portal.lock:
            self.knobs.latency_s = seconds

    def set_limits(
        self,
        per_10s: int | None = None,
        daily: int | None = None,
        search_per_s: int | None = None,
        daily_remaining: int | None = None,
    ) -> None:
        """Change the request limits, or what is left of today's quota."""
        with self.portal.lock:
            self.limiter.per_10s = per_10s or self.limiter.per_10s
            self.limiter.daily = daily or self.limiter.daily
            self.limiter.search_per_s = search_per_s or self.limiter.search_per_s
            if daily_remaining is not None:
                self.limiter.leave_today(self.portal.clock(), daily_remaining)

    def set_membership_lag(self, seconds: float = 0.0, reads: int = 0) -> None:
        """Reads of lists see changes only after both: that many seconds, and that many reads."""
        with self.portal.lock:
            self.knobs.membership_lag_s, self.knobs.membership_lag_reads = seconds, reads

    def set_search_lag(self, seconds: float | None) -> None:
        """Search sees changes only after that time; None: only after :meth:`refresh_search`."""
        with self.portal.lock:
            self.portal.search_lag_s = math.inf if seconds is None else seconds

    def refresh_search(self, record_ids: Sequence[str] | None = None) -> None:
        """Let search see the present state of these records, or of all."""
        with self.portal.lock:
            asked = None if record_ids is None else [int(each) for each in record_ids]
            search.refresh_index(self.portal, asked)

    def omit_empty_arrays(self, omit: bool = True) -> None:
        """Leave empty arrays out of answers, as HubSpot may."""
        with self.portal.lock:
            self.knobs.omit_empty = omit

    def set_custom_property_limit(self, limit: int) -> None:
        """How many custom properties contacts may have."""
        with self.portal.lock:
            self.portal.custom_property_limit = limit

    # -- look inside

    def contacts(self) -> dict[str, Json]:
        """Every contact by record id: its properties, further addresses and write counts."""
        with self.portal.lock:
            return {
                str(key): {
                    "properties": dict(each.values),
                    "additional_emails": list(each.extra_emails),
                    "writes": each.writes,
                    "member_writes": each.member_writes,
                    "created_at": each.created_at,
                    "updated_at": each.updated_at,
                }
                for key, each in self.portal.contacts.items()
            }

    def lists(self) -> dict[str, Json]:
        """Every list by id: name, processing type, and its true members (not what reads see)."""
        with self.portal.lock:
            return {
                str(key): {
                    "name": each.name,
                    "processing_type": each.processing_type,
                    "members": sorted(str(member) for member in each.members),
                }
                for key, each in self.portal.lists.items()
            }

    def members(self, list_name: str) -> list[str]:
        """The primary e-mails (or record ids) of the true members of a list, sorted."""
        with self.portal.lock:
            each = list_rules.find_by_name(self.portal, list_name)
            return sorted(
                self.portal.contacts[key].values.get("email") or str(key) for key in each.members
            )

    def properties(self) -> list[str]:
        """Names of all contact properties."""
        with self.portal.lock:
            return list(self.portal.properties)

    def blocklist(self) -> list[str]:
        """Addresses that can never be added again."""
        with self.portal.lock:
            return sorted(self.portal.blocked)

    def log(self) -> list[Json]:
        """Every API request: n, at, method, path, inputs, status (0: no answer), seconds, fault."""
        with self.portal.lock:
            return [dict(each) for each in self.requests]

    def clear_log(self) -> None:
        """Start the request log and the limiter's counters afresh; the windows stay."""
        with self.portal.lock:
            self.requests.clear()
            self.limiter.clear_counts()

    def traffic(self) -> Json:
        """Counts: accepted requests, refusals by policy, the peak within ten seconds."""
        with self.portal.lock:
            return {
                "accepted": self.limiter.accepted,
                "refused": dict(self.limiter.refused),
                "peak_per_10s": self.limiter.peak,
            }

    def dump(self) -> Json:
        """Everything at once, for oracles."""
        with self.portal.lock:
            return {
                "contacts": self.contacts(),
                "lists": self.lists(),
                "properties": self.properties(),
                "blocklist": self.blocklist(),
                "traffic": self.traffic(),
                "log": self.log(),
            }

    def _refuse_impossible(self, values: Mapping[str, str], extra: Sequence[str]) -> None:
        unknown = [name for name in values if name not in self.portal.properties]
        if unknown:
            raise ValueError(f"properties {', '.join(unknown)} do not exist")
        for email in [values.get("email", ""), *extra]:
            if email and self.portal.find_email(email) is not None:
                raise ValueError("an address is in use already")
