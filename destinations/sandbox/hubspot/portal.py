"""The account that the sandbox plays: contacts, properties, lists, tokens. No HTTP in here.

``Portal`` is plain data with the indexes that make it quick; what HubSpot allows to be done with it
is in ``contacts``, ``schema``, ``lists`` and ``search``. It is owned by the server's event loop;
every other thread takes ``lock`` first.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .answers import Json
from .fields import Property, standard_properties

SCOPES = frozenset(
    {
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
        "crm.lists.read",
        "crm.lists.write",
        "crm.schemas.contacts.read",
        "crm.schemas.contacts.write",
    }
)
DEFAULT_TOKEN = "pat-eu1-sandbox"  # noqa: S105 - the sandbox's own, worth nothing elsewhere
EDITABLE = frozenset({"MANUAL", "SNAPSHOT"})


def steady_clock() -> Callable[[], float]:
    """Seconds since 1970 that never jump: the limiter's law must not depend on NTP."""
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()


def iso(seconds: float) -> str:
    """A time as HubSpot writes it, to the millisecond."""
    at = datetime.fromtimestamp(seconds, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Contact:
    """One contact record.

    Attributes:
        values: Property -> text; a property that was never set is absent, a cleared one is "".
        extra_emails: Further addresses that match this contact (``hs_additional_emails``), lower
            case.
        writes: How many writes to its properties were applied.
        member_writes: How many list memberships of it were really added or removed by a request.
    """

    record_id: int
    values: dict[str, str]
    created_at: str
    updated_at: str
    extra_emails: list[str] = field(default_factory=list)
    archived: bool = False
    writes: int = 0
    member_writes: int = 0

    def read(self, name: str) -> str | None:
        """The value that the API shows for a property, computed ones included; None when unset."""
        if name == "createdate":
            return self.created_at
        if name == "lastmodifieddate":
            return self.updated_at
        if name in {"hs_object_id", "hs_all_contact_vids"}:
            return str(self.record_id)
        if name == "hs_additional_emails":
            return ";".join(self.extra_emails) or None
        if name == "hs_email_domain":
            return self.values.get("email", "").partition("@")[2] or None
        return self.values.get(name)


@dataclass(slots=True)
class MemberChange:
    """A change of a list that reads may not see yet."""

    at: float
    reads: int
    added: list[int]
    removed: list[int]


@dataclass(slots=True)
class ContactList:
    """One list ("segment" in today's user interface).

    Attributes:
        members: Record id -> when it joined: the truth.
        visible: What a read answers; lags behind ``members`` when the portal is told so.
        pending: Changes that reads do not see yet, oldest first.
    """

    list_id: int
    name: str
    processing_type: str
    created_at: str
    updated_at: str
    filter_branch: Json | None = None
    members: dict[int, str] = field(default_factory=dict)
    visible: dict[int, str] = field(default_factory=dict)
    pending: deque[MemberChange] = field(default_factory=deque)


@dataclass(slots=True)
class Token:
    """A credential: its scopes, and whether it is OAuth's (no daily headers in answers)."""

    scopes: set[str]
    is_oauth: bool = False


class Portal:
    """All state of one sandbox account.

    Args:
        clock: Seconds since 1970; tests inject their own.
        custom_property_limit: How many custom properties contacts may have.
    """

    def __init__(
        self, *, clock: Callable[[], float] | None = None, custom_property_limit: int = 1000
    ) -> None:
        self.clock = clock or steady_clock()
        self.lock = threading.RLock()
        self.custom_property_limit = custom_property_limit
        self.contacts: dict[int, Contact] = {}
        self.by_email: dict[str, int] = {}
        self.by_unique: dict[str, dict[str, int]] = {}
        self.blocked: set[str] = set()
        self.properties: dict[str, Property] = standard_properties()
        self.groups: dict[str, str] = {"contactinformation": "Contact information"}
        self.lists: dict[int, ContactList] = {}
        self.tokens: dict[str, Token] = {DEFAULT_TOKEN: Token(set(SCOPES))}
        self.stale: dict[int, deque[tuple[float, dict[str, str] | None]]] = {}
        self.search_lag_s = 0.0
        self._next_id = 1000

    def now(self) -> str:
        """The present time as HubSpot writes it."""
        return iso(self.clock())

    def next_id(self) -> int:
        """A number that no record and no list has."""
        self._next_id += 1
        return self._next_id

    def find_email(self, email: str) -> Contact | None:
        """The contact that has the address, as primary or as additional one."""
        record_id = self.by_email.get(email.strip().lower())
        return None if record_id is None else self.contacts[record_id]

    def add_contact(
        self,
        values: Mapping[str, str | None],
        *,
        now: str,
        extra_emails: Iterable[str] = (),
        record_id: int | None = None,
    ) -> Contact:
        """Store a new contact; the caller has made sure that its addresses are free."""
        if record_id is None:
            record_id = self.next_id()
        else:
            self._next_id = max(self._next_id, record_id)
        contact = Contact(record_id, {}, now, now, [extra.lower() for extra in extra_emails])
        self.remember(contact)
        self.contacts[record_id] = contact
        for extra in contact.extra_emails:
            self.by_email[extra] = record_id
        self.set_values(contact, values)
        return contact

    def set_values(self, contact: Contact, values: Mapping[str, str | None]) -> None:
        """Write values (None: as if never set) and keep the indexes right."""
        for name, value in values.items():
            before = contact.values.get(name)
            if name == "email":
                if before and before != value:
                    self.by_email.pop(before, None)
                if value:
                    self.by_email[value] = contact.record_id
            elif name in self.by_unique:
                if before:
                    self.by_unique[name].pop(before, None)
                if value:
                    self.by_unique[name][value] = contact.record_id
            if value is None:
                contact.values.pop(name, None)
            else:
                contact.values[name] = value

    def remove_contact(self, contact: Contact) -> None:
        """Take a contact out of every index and list."""
        self.remember(contact)
        contact.archived = True
        del self.contacts[contact.record_id]
        for email in [contact.values.get("email", ""), *contact.extra_emails]:
            self.by_email.pop(email, None)
        for name, index in self.by_unique.items():
            index.pop(contact.values.get(name, ""), None)
        for each in self.lists.values():
            each.members.pop(contact.record_id, None)
            each.visible.pop(contact.record_id, None)

    def remember(self, contact: Contact) -> None:
        """Before a change: keep what search knows of the contact, while search lags behind."""
        if self.search_lag_s <= 0:
            return
        versions = self.stale.setdefault(contact.record_id, deque())
        known = dict(contact.values) if contact.record_id in self.contacts else None
        versions.append((self.clock(), known))
