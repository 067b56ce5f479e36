"""PostgreSQL's types: as the house dialect names them, as Arrow, and as Python values.

ADBC hands a ``numeric`` over as text with its precision beside it, because Postgres' own has no
limit; here it becomes a decimal again.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import SourceError
from connector.warehouse.render import quote

MAX_NAME_BYTES = 63
"""Postgres cuts longer names in silence."""

SCALE = 10
"""Decimal places of a number that declares none, such as the sum of whole numbers."""

_HOUSE = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "numeric": "DECIMAL",
    "text": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
}
"""Types that are carried over; everything else is read as text."""


def house_type(kind: str, modifier: int) -> str:
    """A type in the house dialect, such as ``DECIMAL(18,2)``.

    Args:
        kind: Name in ``pg_type``.
        modifier: ``atttypmod``; -1 where none is declared.
    """
    if kind == "numeric" and modifier >= 0:
        precision, scale = _numeric(modifier)
        return f"DECIMAL({precision},{scale})"
    return _HOUSE.get(kind, "VARCHAR")


def presented(column: str, kind: str) -> str:
    """A source's column as the workspace reads it: text sorted by bytes, odd types as text."""
    name = quote(column)
    if kind in _HOUSE and kind != "text":
        return name
    return f'CAST({name} AS TEXT) COLLATE "C" AS {name}'


def _numeric(modifier: int) -> tuple[int, int]:
    """Precision and scale of a ``numeric``, as Postgres packs them (src/backend/utils/adt)."""
    packed = modifier - 4
    return packed >> 16 & 0xFFFF, (packed & 0x7FF ^ 1024) - 1024


# ---------------------------------------------------------------- results


def _decimal(field: pa.Field) -> tuple[int, int] | None:
    """Precision and scale that a result declares; None where it is no ``numeric`` or has none."""
    metadata = field.metadata or {}
    modifier = int(metadata.get(b"POSTGRESQL:typmod", b"-1"))
    return _numeric(modifier) if _is_numeric(field) and modifier >= 0 else None


def _is_numeric(field: pa.Field) -> bool:
    return bool((field.metadata or {}).get(b"POSTGRESQL:type") == b"numeric")


def arrow_schema(schema: pa.Schema) -> pa.Schema:
    """The plain schema of a result: decimals instead of text, and no metadata."""
    fields = []
    for field in schema:
        kind = field.type
        if _is_numeric(field):
            precision, scale = _decimal(field) or (38, SCALE)
            kind = pa.decimal128(min(precision, 38), scale)
        elif isinstance(kind, pa.BaseExtensionType):
            kind = pa.string()
        fields.append(pa.field(field.name, kind))
    return pa.schema(fields)


def as_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch in another schema of the same columns.

    Raises:
        ArrowInvalid: A value does not fit.
    """
    arrays = [
        _cast(_plain(array), field.type) for array, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(array.type) and pa.types.is_decimal(kind):
        # A number that declares no scale may have more places than there is room for.
        wide = array.cast(pa.decimal256(76, 38))
        array = pc.round(wide, ndigits=kind.scale, round_mode="half_towards_infinity")
    return array.cast(kind)


def _plain(array: pa.Array) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        return array.storage
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


def python_rows(table: pa.Table) -> list[tuple[Any, ...]]:
    """A result as tuples, in DuckDB's types: whole numbers are int, whatever their size."""
    columns = [
        _numbers(column.to_pylist(), whole=_decimal(field) is None)
        if _is_numeric(field)
        else column.to_pylist()
        for column, field in zip(table.columns, table.schema, strict=True)
    ]
    return list(zip(*columns, strict=True))


def _numbers(texts: Iterable[str | None], *, whole: bool) -> list[int | Decimal | None]:
    """Decimals; where no scale is declared, those without a point are whole numbers."""

    def read(text: str) -> int | Decimal:
        return int(text) if whole and text.lstrip("-").isdigit() else Decimal(text)

    return [None if text is None else read(text) for text in texts]


# ---------------------------------------------------------------- loads


def loadable(name: str, schema: pa.Schema) -> pa.Schema:
    """The schema in which Arrow data is loaded.

    Raises:
        SourceError: A column has a type that has no place in a relation.
    """
    return pa.schema([pa.field(field.name, _loadable(name, field)) for field in schema])


def _loadable(name: str, field: pa.Field) -> pa.DataType:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_null(kind) or pa.types.is_large_string(kind) or pa.types.is_string(kind):
        return pa.string()
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz=kind.tz)
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_boolean(kind) or pa.types.is_decimal128(kind):
        return kind
    raise SourceError(f"{name}: the column {field.name} has the type {kind}, which cannot be held.")


def sql_type(kind: pa.DataType) -> str:
    """The type that a loadable Arrow type gets in a table."""
    if pa.types.is_decimal(kind):
        return f"NUMERIC({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    return {
        pa.string(): 'TEXT COLLATE "C"',
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE PRECISION",
        pa.bool_(): "BOOLEAN",
        pa.date32(): "DATE",
    }[kind]
