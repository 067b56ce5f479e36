"""Properties and property groups of contacts, and how many custom properties fit."""

from __future__ import annotations

from .answers import (
    Answer,
    Json,
    RefusalError,
    bad_request,
    error_body,
    not_found,
    object_of,
    record_error,
)
from .fields import NAME, TYPES, Property
from .portal import Portal

REQUIRED = ("groupName", "name", "label", "type", "fieldType")


def list_properties(portal: Portal) -> Answer:
    """GET of all properties."""
    return Answer(200, {"results": [each.to_json() for each in portal.properties.values()]})


def get_property(portal: Portal, name: str) -> Answer:
    """GET of one property."""
    found = portal.properties.get(name)
    if found is None:
        raise not_found(
            f'Property "{name}" does not exist', sub_category="Properties.PROPERTY_NOT_FOUND"
        )
    return Answer(200, found.to_json())


def create_property(portal: Portal, body: object) -> Answer:
    """POST of one property; 409 when there is one of that name."""
    return Answer(201, define(portal, body).to_json())


def create_properties(portal: Portal, body: object) -> Answer:
    """POST properties/batch/create: those that exist already are ``errors`` of a 207."""
    inputs = object_of(body).get("inputs")
    if not isinstance(inputs, list):
        raise bad_request("Invalid input JSON: some required fields were not set: [inputs]")
    started, results, errors = portal.now(), [], []
    for each in inputs:
        try:
            results.append(define(portal, each).to_json())
        except RefusalError as refused:
            if refused.answer.status != 409:
                raise
            errors.append(record_error(refused.answer.body or {}, {"name": [str(each["name"])]}))
    answer: Json = {"status": "COMPLETE", "results": results}
    if errors:
        answer |= {"numErrors": len(errors), "errors": errors}
    answer |= {"startedAt": started, "completedAt": portal.now()}
    return Answer(207 if errors else 201, answer)


def read_properties(portal: Portal, body: object) -> Answer:
    """POST properties/batch/read; unknown names are ``errors`` of a 207."""
    names = [str(each.get("name")) for each in object_of(body).get("inputs", [])]
    started = portal.now()
    missing = [name for name in names if name not in portal.properties]
    answer: Json = {
        "status": "COMPLETE",
        "results": [portal.properties[name].to_json() for name in names if name not in missing],
    }
    if missing:
        problem = error_body("Some properties do not exist", "OBJECT_NOT_FOUND")
        answer |= {"numErrors": 1, "errors": [record_error(problem, {"name": missing})]}
    answer |= {"startedAt": started, "completedAt": portal.now()}
    return Answer(207 if missing else 200, answer)


def update_property(portal: Portal, name: str, body: object) -> Answer:
    """PATCH of one property: label, description and options."""
    get_property(portal, name)
    found = portal.properties[name]
    changes = object_of(body)
    found.label = str(changes.get("label", found.label))
    found.description = str(changes.get("description", found.description))
    found.options = changes.get("options", found.options)
    return Answer(200, found.to_json())


def archive_property(portal: Portal, name: str) -> Answer:
    """DELETE of one property; its values go with it."""
    found = portal.properties.get(name)
    if found is not None and found.hubspot_defined:
        raise bad_request(f"Property {name} is defined by HubSpot and cannot be archived")
    if found is not None:
        del portal.properties[name]
        portal.by_unique.pop(name, None)
        for contact in portal.contacts.values():
            contact.values.pop(name, None)
    return Answer(204)


def list_groups(portal: Portal) -> Answer:
    """GET of all property groups."""
    return Answer(200, {"results": [_group(name, label) for name, label in portal.groups.items()]})


def get_group(portal: Portal, name: str) -> Answer:
    """GET of one property group."""
    if name not in portal.groups:
        raise not_found(f"Property group {name} does not exist")
    return Answer(200, _group(name, portal.groups[name]))


def create_group(portal: Portal, body: object) -> Answer:
    """POST of one property group; 409 when there is one of that name."""
    request = object_of(body)
    if not request.get("name") or not request.get("label"):
        raise bad_request("Invalid input JSON: some required fields were not set: [name, label]")
    name, label = str(request["name"]), str(request["label"])
    if name in portal.groups:
        raise _exists(f"A property group named '{name}' already exists.", "GROUP_EXISTS")
    portal.groups[name] = label
    return Answer(201, _group(name, label))


def custom_property_limits(portal: Portal) -> Answer:
    """GET limits/custom-properties."""
    limit, usage = portal.custom_property_limit, _n_custom(portal)
    share = usage / limit if limit else 1.0
    contacts: Json = {
        "objectTypeId": "0-1",
        "singularLabel": "Contact",
        "pluralLabel": "Contacts",
        "limit": limit,
        "usage": usage,
        "percentage": share,
    }
    whole = {"overallLimit": limit, "overallUsage": usage, "overallPercentage": share}
    return Answer(200, {"byObjectType": [contacts], **whole})


def define(portal: Portal, definition: object) -> Property:
    """Create a property, or refuse it."""
    body = object_of(definition)
    absent = [key for key in REQUIRED if not body.get(key)]
    if absent:
        listed = ", ".join(absent)
        raise bad_request(f"Invalid input JSON: some required fields were not set: [{listed}]")
    name, kind, field_type = str(body["name"]), str(body["type"]), str(body["fieldType"])
    if NAME.fullmatch(name) is None:
        raise bad_request(
            f"Property name {name} must be lower case letters, digits and underscores, "
            "and start with a letter"
        )
    if field_type not in TYPES.get(kind, set()):
        raise bad_request(f"fieldType {field_type} does not go with type {kind}")
    if body["groupName"] not in portal.groups:
        raise bad_request(f"Property group {body['groupName']} does not exist")
    if name in portal.properties:
        raise _exists(f"A property named '{name}' already exists.", "PROPERTY_EXISTS")
    if _n_custom(portal) >= portal.custom_property_limit:
        raise bad_request(
            "The limit of custom properties is reached.", sub_category="LIMIT_EXCEEDED"
        )
    options = body.get("options") or []
    if kind == "enumeration" and not options:
        raise bad_request("A property of type enumeration needs options")
    created = Property(
        name=name,
        label=str(body["label"]),
        type=kind,
        field_type=field_type,
        group=str(body["groupName"]),
        description=str(body.get("description", "")),
        options=list(options),
        unique=bool(body.get("hasUniqueValue", False)),
        created_at=portal.now(),
    )
    portal.properties[name] = created
    if created.unique:
        portal.by_unique[name] = {}
    return created


def _n_custom(portal: Portal) -> int:
    return sum(1 for each in portal.properties.values() if not each.hubspot_defined)


def _exists(message: str, code: str) -> RefusalError:
    body = error_body(message, "OBJECT_ALREADY_EXISTS", sub_category=f"Properties.{code}")
    return RefusalError(Answer(409, body))


def _group(name: str, label: str) -> Json:
    return {"name": name, "label": label, "displayOrder": -1, "archived": False}
