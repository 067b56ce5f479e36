"""Say in the file's own terms what pydantic found wrong.

Pydantic knows which key it disliked and why; people need the line, what they wrote, what they may
write, and what they probably meant. A key that is missing because its name was mistyped is told
once, as the mistyped key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from connector.config.document import Document
from connector.config.problems import (
    KeyPath,
    Problem,
    did_you_mean,
    is_secret,
    listed,
    nearest,
    shown,
)
from connector.config.values import REFUSED

KIND = "type"
"""Key that decides which kind of block it stands in."""

_SHAPES = {
    "mapping_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "tuple_type": "a list",
    "list_type": "a list",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "too_short": "at least one entry",
}
_SWITCHES = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_EXPLAINED = {
    ("destinations", "requires"): "{purpose: marketing, channel: email}, or none_internal"
    " for data that stays inside",
    ("holdouts", "assign"): '{salt: "${HOLDOUT_SALT}"}',
}


def problems_of(
    error: ValidationError, content: object, document: Document, root: type[BaseModel]
) -> list[Problem]:
    """The problems of a validation, one for each place.

    Args:
        error: What pydantic found.
        content: What it validated.
        document: Where that was written.
        root: The model that it was validated against.
    """
    details = error.errors(include_url=False)
    mistyped = _mistyped(details, content, root)
    problems: dict[KeyPath, Problem] = {}
    for detail in details:
        path = _path(detail, content)
        if path in problems or (detail["type"] == "missing" and path in mistyped):
            continue
        problems[path] = _problem(detail, path, content, document, root)
    return list(problems.values())


def _mistyped(
    details: Iterable[ErrorDetails], content: object, root: type[BaseModel]
) -> set[KeyPath]:
    """Paths of the keys that an unknown key beside them was probably meant to be."""
    meant = set()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            path = _path(detail, content)
            key = nearest(path[-1], keys_at(root, path[:-1], content))
            if key is not None:
                meant.add((*path[:-1], key))
    return meant


def _path(detail: ErrorDetails, content: Any) -> KeyPath:  # noqa: ANN401 - plain content
    """The part of pydantic's location that is in the file, without its notes on unions."""
    path: KeyPath = ()
    for part in detail["loc"]:
        in_mapping = isinstance(content, Mapping) and part in content
        in_list = isinstance(content, list) and isinstance(part, int) and part < len(content)
        if not in_mapping and isinstance(content, Mapping) and content.get(KIND) == part:
            continue  # pydantic names the kind that it chose
        if not in_mapping and isinstance(content, Mapping) and isinstance(part, int):
            continue  # one alone, that stands without a list
        if in_mapping or in_list:
            content = content[part]
        elif detail["type"] != "missing" or not isinstance(content, Mapping):
            break
        path = (*path, part)
    return path


def _problem(
    detail: ErrorDetails,
    path: KeyPath,
    content: object,
    document: Document,
    root: type[BaseModel],
) -> Problem:
    kind, found, context = detail["type"], detail["input"], detail.get("ctx", {})
    allowed = _EXPLAINED.get((str(path[0]), str(path[-1])), "") if path else ""
    if kind == "missing":
        meant = _written_instead(str(path[-1]), found, keys_at(root, path[:-1], content))
        return document.problem(path, "is missing", allowed=allowed, hint=meant)
    is_key = detail["loc"][-1:] == ("[key]",)
    if kind == "extra_forbidden" or (is_key and kind == "enum"):
        keys = keys_at(root, path[:-1], content)
        hint = did_you_mean(path[-1], keys)
        return document.problem(path, "unknown key", allowed=listed(keys), hint=hint)
    words: tuple[str, ...] = ()
    hint = ""
    if kind == REFUSED:
        allowed, words, hint = context["allowed"], context["words"], context["hint"]
    elif kind in ("literal_error", "enum"):
        expected = str(context["expected"])
        words = tuple(re.findall(r"'([^']*)'", expected))
        allowed = listed(words) if words else expected
    elif kind in ("model_type", "model_attributes_type"):
        allowed = f"a mapping with {listed(keys_at(root, path, content))}"
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        path = (*path, KIND)
        words = tuple(kinds_at(root, path[:-1]))
        allowed = f"{KIND}: {' | '.join(words)}"
        if kind == "union_tag_not_found":
            return document.problem(path, "is missing", allowed=allowed)
        found = context["tag"]
    elif kind == "too_short" and context["min_length"] > 1:
        allowed = f"at least {context['min_length']} entries"
    elif kind == "greater_than_equal":
        allowed = f"{context['ge']} or more"
    elif kind == "greater_than":
        allowed = f"more than {context['gt']:g}"
    elif kind == "less_than":
        allowed = f"less than {context['lt']:g}"
    elif kind == "less_than_equal":
        allowed = f"at most {context['le']}"
    else:
        allowed = _SHAPES.get(kind, allowed or "another value")
    hint = hint or did_you_mean(found, words)
    if allowed == "text" and isinstance(found, bool | int | float):
        hint = "Put it in quotes to make it text."
    if kind == "bool_type" and isinstance(found, str) and found.lower() in _SWITCHES:
        hint = f"Did you mean {_SWITCHES[found.lower()]}?"
    if is_secret(path):
        message, hint = "found a value that is not repeated here", ""
    else:
        message = f"{'the name' if is_key else 'found'} {shown(found)}"
    return document.problem(path, message, allowed=allowed, hint=hint)


def _written_instead(key: str, block: object, keys: Iterable[str]) -> str:
    """A hint at the key that was probably meant to be ``key``, where a block takes any key."""
    unknown = set(block) - set(keys) if isinstance(block, Mapping) else set()
    meant = nearest(key, unknown, cutoff=0.8)
    return f"Did you mean '{key}' where it says '{meant}'?" if meant else ""


def keys_at(root: type[BaseModel], path: KeyPath, content: object = None) -> list[str]:
    """The keys that the schema knows at a path, in its own order; empty where it knows none.

    Args:
        root: The schema.
        path: Where.
        content: What the file says; it decides where the schema offers several kinds of block.
    """
    for found in _alternatives(_annotation(root, path, content)):
        candidate = get_args(found)[0] if get_origin(found) is tuple else found
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return [field.alias or name for name, field in candidate.model_fields.items()]
        if get_origin(candidate) is not None and issubclass(get_origin(candidate), Mapping):
            key = get_args(candidate)[0]
            return [str(member) for member in getattr(key, "__members__", {}).values()]
    return []


def kinds_at(root: type[BaseModel], path: KeyPath) -> list[str]:
    """What the key ``type`` of a block may say, where it decides what the block is."""
    return [kind for one in _alternatives(_annotation(root, path, None)) for kind in _kinds_of(one)]


def _annotation(root: type[BaseModel], path: KeyPath, content: object) -> object:
    annotation: object = root
    for part in path:
        annotation = _child(annotation, part)
        content = content.get(part) if isinstance(content, Mapping) else None
        chosen = content.get(KIND) if isinstance(content, Mapping) else None
        fitting = [one for one in _alternatives(annotation) if chosen in _kinds_of(one)]
        if chosen is not None and len(fitting) == 1:
            annotation = fitting[0]
    return annotation


def _kinds_of(candidate: object) -> tuple[str, ...]:
    """What a kind of block may say under ``type``; nothing for any other block."""
    if not (isinstance(candidate, type) and issubclass(candidate, BaseModel)):
        return ()
    field = candidate.model_fields.get(KIND)
    return tuple(map(str, get_args(field.annotation))) if field is not None else ()


def _alternatives(annotation: object) -> list[Any]:
    """The members of a union or the annotated type itself, ``None`` left out."""
    if hasattr(annotation, "__metadata__"):
        return _alternatives(get_args(annotation)[0])
    origin = get_origin(annotation)
    if origin not in (Union, UnionType):
        return [annotation]
    return [one for arg in get_args(annotation) for one in _alternatives(arg) if one is not None]


def _child(annotation: object, part: str | int) -> object:
    for candidate in _alternatives(annotation):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            for name, field in candidate.model_fields.items():
                if part == (field.alias or name):
                    return field.annotation
            if "__pydantic_extra__" in candidate.__annotations__:
                return get_args(
                    get_type_hints(candidate, include_extras=True)["__pydantic_extra__"]
                )[-1]
        elif get_args(candidate):
            return get_args(candidate)[0 if isinstance(part, int) else -1]
    return None
