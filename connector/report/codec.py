"""Frozen dataclasses to plain JSON values and back, by their own type annotations.

One reader and one writer for every class of the report's input keep the two directions from
drifting apart; numbers keep their full precision, times become ISO text with their offset.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from connector.errors import LiftlineError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def encode(value: object) -> object:
    """Plain values that ``json.dumps`` takes.

    Args:
        value: A dataclass, mapping, tuple, list, date, time, text, number, bool or None.

    Raises:
        LiftlineError: It is none of these.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return encode_fields(value)
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise LiftlineError(f"A report cannot hold a {type(value).__name__}.")


def encode_fields(value: DataclassInstance) -> dict[str, object]:
    """The fields of a dataclass as plain values, by name."""
    return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}


def decode(target: type[T], document: Mapping[str, Any]) -> T:
    """Build a dataclass from what :func:`encode` made of one.

    Keys that the class does not have are passed over, so that a document may say more than is
    shown.

    Raises:
        LiftlineError: A value is missing or of another type.
    """
    hints = get_type_hints(target)
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(target):
        if field.name in document:
            where = f"{target.__name__}.{field.name}"
            arguments[field.name] = _decode(hints[field.name], document[field.name], where)
    try:
        return target(**arguments)
    except TypeError as problem:
        raise LiftlineError(
            f"A stored report lacks values of {target.__name__}.", hint="Make the report again."
        ) from problem


def _decode(hint: object, value: object, where: str) -> object:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        inner = [choice for choice in get_args(hint) if choice is not type(None)]
        return None if value is None else _decode(inner[0], value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_decode(get_args(hint)[0], item, where) for item in value)
    if origin is Mapping and isinstance(value, Mapping):
        return {str(key): _decode(get_args(hint)[1], item, where) for key, item in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return decode(hint, value)
    if hint is datetime and isinstance(value, str):
        return datetime.fromisoformat(value)
    if hint is date and isinstance(value, str):
        return date.fromisoformat(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is str and isinstance(value, str):
        return str(value)
    if isinstance(hint, type) and origin is None and isinstance(value, hint):
        return value
    raise LiftlineError(
        f"A stored report has a {type(value).__name__} in {where}.", hint="Make the report again."
    )
