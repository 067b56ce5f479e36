"""Numbers of a fitted model inside JSON: small, exact, and harmless to read.

A model's weights, knots and cut points have to come back bit for bit, or a reloaded model would not
be the model that was judged. Decimal text of a double does come back, yet takes three times the
room; pickles and ``.npz`` files can run code. So an array travels as its little-endian bytes,
compressed and in base64, beside its dtype and shape. Reading checks the size that shape and dtype
announce before anything is unpacked, so a damaged text cannot blow up.

:func:`digest` exists because two zlib libraries compress the same bytes into different texts: a
version that was hashed over the compressed text would change with the machine.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from connector.errors import ModelError

MAX_BYTES = 1 << 30
"""No array of a model is larger than this once unpacked."""

_KINDS = frozenset("biufUS")
"""Truth values, whole numbers, floating point, text; nothing that holds references."""

_KEYS = frozenset({"dtype", "shape", "zlib"})


def encode(array: npt.ArrayLike) -> dict[str, Any]:
    """The array as plain values for JSON.

    Args:
        array: Any shape; truth values, numbers, fixed-width text, or records of them. What lies
            between the fields of a record is written as zeros, so that equal arrays give equal
            texts.

    Returns:
        ``dtype`` (numpy's own text, little-endian), ``shape`` and ``zlib`` (base64 of the
        compressed bytes in C order).

    Raises:
        ModelError: The array holds objects.
    """
    values = np.asarray(array)
    dtype = values.dtype.newbyteorder("<")
    _check(dtype)
    plain = np.zeros(values.shape, dtype=dtype)
    if dtype.names is None:
        plain[...] = values
    else:
        for name in dtype.names:
            plain[name] = values[name]
    return {
        "dtype": _write_dtype(dtype),
        "shape": list(values.shape),
        "zlib": base64.b64encode(zlib.compress(plain.tobytes(), 6)).decode("ascii"),
    }


def decode(data: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Inverse of :func:`encode`; the array may be written to.

    Raises:
        ModelError: The data has another shape, or is not as long as its shape says.
    """
    try:
        dtype = _read_dtype(data["dtype"])
        _check(dtype)
        shape = tuple(int(n) for n in data["shape"])
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or size > MAX_BYTES:
            raise ValueError(f"an array of {size} bytes")
        packed = base64.b64decode(data["zlib"], validate=True)
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(packed, size + 1)
        if len(raw) != size or unpacker.unconsumed_tail or not unpacker.eof:
            raise ValueError("another length than its shape says")
        return np.frombuffer(raw, dtype=dtype).reshape(shape).copy()
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error, binascii.Error) as problem:
        raise ModelError(
            "An array of a stored model cannot be read.", hint="Fit the model again."
        ) from problem


def digest(data: object) -> str:
    """Twelve hexadecimal digits over plain values, arrays counted by what they hold.

    Args:
        data: What a model's ``to_dict`` returns.
    """
    text = json.dumps(_unpacked(data), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _unpacked(data: object) -> object:
    """The same values, each encoded array replaced by a hash of its bytes."""
    if isinstance(data, Mapping):
        if data.keys() == _KEYS:
            raw = hashlib.sha256(decode(data).tobytes()).hexdigest()
            return {"dtype": data["dtype"], "shape": data["shape"], "sha256": raw}
        return {str(key): _unpacked(value) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [_unpacked(value) for value in data]
    return data


def _check(dtype: np.dtype[Any]) -> None:
    """Refuse whatever holds references.

    Raises:
        ModelError: It does.
    """
    if dtype.names is not None:
        for name in dtype.names:
            _check(dtype[name])
    elif dtype.kind not in _KINDS or dtype.hasobject:
        raise ModelError(
            f"An array of {dtype} cannot be stored with a model.",
            hint="Turn it into numbers or fixed-width text first.",
        )


def _write_dtype(dtype: np.dtype[Any]) -> object:
    """The description by numpy as plain values: a text, or a list for each field of a record."""
    described: Any = np.lib.format.dtype_to_descr(dtype)
    return described if isinstance(described, str) else [list(field) for field in described]


def _read_dtype(described: str | Sequence[Any]) -> np.dtype[Any]:
    """Inverse of :func:`_write_dtype`."""
    if isinstance(described, str):
        return np.dtype(described)
    fields: Any = [
        (str(field[0]), str(field[1]), *(tuple(map(int, part)) for part in field[2:]))
        for field in described
    ]
    return np.dtype(np.lib.format.descr_to_dtype(fields))
