"""What may be written to a contact: property names that are ours to use, and their types.

Consent is the customer's word, not ours: a property that holds an opt-in, an opt-out, a legal basis
or the marketable status is refused by name, whoever configured it. So are those that HubSpot fills
itself. The list is by pattern, because HubSpot adds one such property for every subscription type
(``hs_email_optout_<id>``); what no pattern knows, HubSpot's own metadata settles before the first
write (see :mod:`destinations.hubspot.schema`).
"""

from __future__ import annotations

import re

from connector.domain import FieldType
from destinations.limits import HUBSPOT_PROPERTY_NAME

MATCH_PROPERTY = "email"

_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{HUBSPOT_PROPERTY_NAME.value - 1}}}")
_CONSENT = re.compile(
    r"hs_.*(opt_?out|opt_?in|consent|subscri|legal_basis|privacy|marketable|quarantin|ineligible"
    r"|confirmationstatus|bad_address).*"
)
_VENDOR_FILLED = re.compile(
    r"createdate|lastmodifieddate|hubspotscore|webinareventlastupdated|num_associated_.*"
    r"|num_conversion_.*|num_contacted_.*|num_notes|num_unique_.*|first_conversion_.*"
    r"|recent_conversion_.*|notes_last_.*|currentlyinworkflow"
    r"|hs_(object_.*|createdate|lastmodifieddate|additional_emails|all_.*|merged_.*|calculated_.*"
    r"|analytics_.*|time_.*|v2_.*|date_(entered|exited)_.*|email_.*|sales_email_.*|social_.*"
    r"|latest_.*|predictive.*|is_.*|read_only|unique_.*|updated_.*|created_.*|user_ids.*"
    r"|count_.*|sequences_.*|searchable_.*|full_name_.*)"
)

TYPES: dict[FieldType, tuple[str, str]] = {
    FieldType.TEXT: ("string", "text"),
    FieldType.NUMBER: ("number", "number"),
    FieldType.BOOL: ("bool", "booleancheckbox"),
    FieldType.DATE: ("date", "date"),
    FieldType.DATETIME: ("datetime", "date"),
}
"""Our type -> HubSpot's ``type`` and ``fieldType`` of a property that we create."""


def objection(name: str) -> str:
    """Why a property of that name must not be written, or ``""`` when it may."""
    if not _NAME.fullmatch(name):
        return "is not a HubSpot property name (lower-case letters, digits and _, a letter first)"
    if name == MATCH_PROPERTY:
        return "is what people are matched on"
    if _CONSENT.fullmatch(name):
        return "holds consent or subscription status, which is never written"
    if _VENDOR_FILLED.fullmatch(name):
        return "is filled by HubSpot itself"
    return ""


def can_hold(kind: str, field_type: str, wanted: FieldType) -> bool:
    """Whether an existing property of HubSpot's ``kind`` takes every value of our type ``wanted``.

    Text takes everything. A yes/no property made in older accounts is an enumeration of a single
    checkbox.
    """
    if kind in ("string", TYPES[wanted][0]):
        return True
    return wanted is FieldType.BOOL and (kind, field_type) == ("enumeration", "booleancheckbox")
