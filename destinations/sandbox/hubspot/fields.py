"""Contact properties: what exists, and what each can hold.

HubSpot keeps every value as text. A write may only send text (or null), to a property that exists,
and the text must suit the property's type; one bad value refuses the whole batch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from .answers import Json, PropertyProblem

MAX_TEXT = 65_536
EMAIL = re.compile(r"[^@\s,;<>()\"]+@[A-Za-z0-9](?:[A-Za-z0-9-]*\.)+[A-Za-z]{2,}")
NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
TYPES = {
    "string": {"text", "textarea", "file", "html", "phonenumber", "calculation_equation"},
    "number": {"number", "calculation_equation"},
    "date": {"date"},
    "datetime": {"date"},
    "enumeration": {"select", "radio", "checkbox", "booleancheckbox", "calculation_equation"},
    "bool": {"booleancheckbox", "calculation_equation"},
}


@dataclass(slots=True)
class Property:
    """One property definition of contacts."""

    name: str
    label: str
    type: str = "string"
    field_type: str = "text"
    group: str = "contactinformation"
    description: str = ""
    options: list[Json] = field(default_factory=list)
    unique: bool = False
    hubspot_defined: bool = False
    read_only: bool = False
    created_at: str = "2020-01-01T00:00:00.000Z"

    def to_json(self) -> Json:
        """The definition as the properties API shows it."""
        shown: Json = {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "groupName": self.group,
            "description": self.description,
            "options": self.options,
            "displayOrder": -1,
            "calculated": False,
            "externalOptions": False,
            "hasUniqueValue": self.unique,
            "hidden": False,
            "hubspotDefined": self.hubspot_defined,
            "formField": not self.read_only,
            "archived": False,
            "modificationMetadata": {
                "archivable": not self.hubspot_defined,
                "readOnlyDefinition": self.hubspot_defined,
                "readOnlyValue": self.read_only,
            },
        }
        if not self.hubspot_defined:
            shown |= {"createdAt": self.created_at, "updatedAt": self.created_at}
        return shown


def _standard() -> Iterator[Property]:
    for name, label in (
        ("firstname", "First Name"),
        ("lastname", "Last Name"),
        ("phone", "Phone Number"),
        ("city", "City"),
        ("country", "Country/Region"),
        ("company", "Company Name"),
        ("hs_language", "Preferred language"),
    ):
        yield Property(name, label, hubspot_defined=True)
    yield Property("email", "Email", hubspot_defined=True, unique=True)
    stages = ("subscriber", "lead", "marketingqualifiedlead", "opportunity", "customer", "other")
    yield Property(
        "lifecyclestage",
        "Lifecycle Stage",
        type="enumeration",
        field_type="radio",
        options=[option(stage, n) for n, stage in enumerate(stages)],
        hubspot_defined=True,
    )
    yield Property(
        "hs_email_optout",
        "Unsubscribed from all email",
        type="bool",
        field_type="booleancheckbox",
        hubspot_defined=True,
        read_only=True,
    )
    for name, kind in (
        ("createdate", "datetime"),
        ("lastmodifieddate", "datetime"),
        ("hs_object_id", "number"),
        ("hs_additional_emails", "string"),
        ("hs_all_contact_vids", "string"),
        ("hs_email_domain", "string"),
        ("hs_is_contact", "bool"),
        ("hs_is_unworked", "bool"),
        ("hs_pipeline", "string"),
    ):
        yield Property(name, name, type=kind, hubspot_defined=True, read_only=True)


def standard_properties() -> dict[str, Property]:
    """The properties that every account has (a selection)."""
    return {found.name: found for found in _standard()}


def option(value: str, order: int = -1, label: str = "") -> Json:
    """One choice of an enumeration."""
    return {"label": label or value, "value": value, "displayOrder": order, "hidden": False}


def find_problems(
    values: Mapping[str, Any], definitions: Mapping[str, Property]
) -> list[PropertyProblem]:
    """What is wrong with the values of one record, in the order of the record."""
    found = []
    for name, value in values.items():
        definition = definitions.get(name)
        if definition is None:
            found.append(
                PropertyProblem(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
            )
            continue
        if definition.read_only:
            message = f'"{name}" is a read only property; its value cannot be set'
            found.append(PropertyProblem(name, "READ_ONLY_VALUE", message))
            continue
        if value is None or value == "":
            continue
        problem = _problem(definition, value)
        if problem is not None:
            found.append(PropertyProblem(name, *problem))
    return found


def _problem(definition: Property, text: str) -> tuple[str, str] | None:
    """The code and message for a text that the property cannot hold."""
    kind = definition.type
    if definition.name == "email":
        if EMAIL.fullmatch(text) is None or ".." in text:
            return "INVALID_EMAIL", f"Email address {text} is invalid"
    elif kind == "number":
        if not _is_number(text):
            return "INVALID_INTEGER", f"{text} was not a valid number."
    elif kind == "bool":
        if text not in {"true", "false"}:
            return "INVALID_OPTION", f"{text} was not one of the allowed options: [true, false]"
    elif kind == "enumeration":
        allowed = [str(choice["value"]) for choice in definition.options]
        chosen = text.split(";") if definition.field_type == "checkbox" else [text]
        if any(choice not in allowed for choice in chosen if choice):
            listed = ", ".join(allowed)
            return "INVALID_OPTION", f"{text} was not one of the allowed options: [{listed}]"
    elif kind == "date":
        if not _is_date(text):
            return "INVALID_DATE", f"{text} was not a valid date."
    elif kind == "datetime":
        if not (_is_date(text) or _is_datetime(text)):
            return "INVALID_DATE", f"{text} was not a valid datetime."
    elif len(text) > MAX_TEXT:
        return "TOO_LONG", f"Property values cannot be longer than {MAX_TEXT} characters."
    return None


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) != float("inf")
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    """An ISO date, or milliseconds since 1970 at midnight UTC."""
    if re.fullmatch(r"-?\d{5,}", text):
        return int(text) % 86_400_000 == 0
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_datetime(text: str) -> bool:
    if re.fullmatch(r"-?\d{5,}", text):
        return True
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
