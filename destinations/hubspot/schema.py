"""The properties that we own at HubSpot: made when missing, never bent when they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from connector.domain import Field, FieldType
from connector.errors import ConfigError, PermanentError
from destinations.hubspot.answers import Json, refusal
from destinations.hubspot.client import Api
from destinations.hubspot.properties import TYPES, can_hold, objection
from destinations.limits import HUBSPOT_OBJECT_BATCH

_YES_NO = [
    {"label": "Yes", "value": "true", "displayOrder": 0, "hidden": False},
    {"label": "No", "value": "false", "displayOrder": 1, "hidden": False},
]


class Schema:
    """Reads and extends the definitions of contact properties."""

    def __init__(self, name: str, api: Callable[[], Api], group: str) -> None:
        self._name = name
        self._api = api
        self._group = group

    def definitions(self) -> dict[str, Json]:
        """Property name -> definition, of every contact property."""
        answer = self._api().all_properties()
        if not answer.ok:
            raise refusal(self._name, "to show the contact properties", answer)
        return {str(one["name"]): one for one in answer.results}

    def problem(self, field: Field, existing: Json) -> str:
        """Why an existing property cannot be ours, or ``""``."""
        kind, field_type = str(existing.get("type")), str(existing.get("fieldType"))
        if (existing.get("modificationMetadata") or {}).get("readOnlyValue"):
            return "is read-only at HubSpot"
        if existing.get("calculated"):
            return "is calculated by HubSpot"
        if not can_hold(kind, field_type, field.type):
            return f"exists at HubSpot as {kind}, which cannot hold our {field.type.value} values"
        return ""

    def ensure(self, fields: Iterable[Field]) -> list[Field]:
        """Create the properties that are missing; returns those created."""
        wanted = list({field.name: field for field in fields}.values())
        for field in wanted:
            reason = objection(field.name)
            if reason:
                raise ConfigError(
                    f"destinations.{self._name}.properties.{field.name}: the property {reason}.",
                    hint="Map another property.",
                )
        if not wanted:
            return []
        existing = self.definitions()
        for field in wanted:
            problem = self.problem(field, existing[field.name]) if field.name in existing else ""
            if problem:
                raise PermanentError(
                    f"{self._name}: the contact property {field.name!r} {problem}.",
                    hint="Map another property, or delete that one at HubSpot.",
                )
        absent = [field for field in wanted if field.name not in existing]
        if absent:
            self._ensure_group()
            for start in range(0, len(absent), HUBSPOT_OBJECT_BATCH.value):
                self._create(absent[start : start + HUBSPOT_OBJECT_BATCH.value])
        return absent

    def _ensure_group(self) -> None:
        if self._api().property_group(self._group).ok:
            return
        label = self._group.replace("_", " ").capitalize()
        answer = self._api().create_property_group(self._group, label)
        if not answer.ok and answer.status != 409:
            raise refusal(self._name, "to create a property group", answer)

    def _create(self, fields: list[Field]) -> None:
        answer = self._api().create_properties([self._definition(field) for field in fields])
        if answer.ok and not answer.errors:
            return
        # Somebody may have made some of them meanwhile; what counts is that all are there now.
        there = self.definitions()
        lacking = [field.name for field in fields if field.name not in there]
        if lacking:
            raise PermanentError(
                f"{self._name}: HubSpot did not create the properties {', '.join(lacking)}.",
                hint="Check the scope crm.schemas.contacts.write and the limit of properties.",
                status=answer.status,
                request_id=answer.request_id,
            )

    def _definition(self, field: Field) -> dict[str, Any]:
        kind, field_type = TYPES[field.type]
        definition: dict[str, Any] = {
            "name": field.name,
            "label": field.label or field.name,
            "description": field.description,
            "groupName": self._group,
            "type": kind,
            "fieldType": field_type,
            "formField": False,
        }
        if field.type is FieldType.BOOL:
            definition["options"] = _YES_NO
        return definition
