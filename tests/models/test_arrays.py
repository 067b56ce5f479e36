"""Arrays come back bit for bit, and a damaged text is refused before it is unpacked."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from connector.errors import ModelError
from connector.models.arrays import decode, digest, encode

RECORD = np.dtype([("left", "<i8"), ("threshold", "<f8"), ("flag", "u1")], align=True)


@given(
    hnp.arrays(
        dtype=st.one_of(
            hnp.boolean_dtypes(),
            hnp.integer_dtypes(),
            hnp.floating_dtypes(sizes=(32, 64)),
            hnp.unicode_string_dtypes(max_len=5),
        ),
        shape=hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
    )
)
def test_what_is_written_comes_back(array):
    back = decode(json.loads(json.dumps(encode(array))))
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("<")
    assert back.tobytes() == array.astype(back.dtype).tobytes()


def test_records_come_back_and_the_gaps_between_their_fields_do_not_count():
    clean = np.zeros(3, RECORD)
    dirty = np.frombuffer(bytearray(b"\xff" * 3 * RECORD.itemsize), RECORD)
    for name in RECORD.names:
        clean[name] = dirty[name] = [1, 2, 3]
    assert clean.tobytes() != dirty.tobytes()
    assert encode(clean) == encode(dirty)
    assert (decode(encode(dirty)) == clean).all()


@pytest.mark.parametrize(
    "harm",
    [
        {"dtype": "O"},
        {"dtype": "|V8"},
        {"dtype": [["a", "O"]]},
        {"shape": [4]},
        {"shape": [2]},
        {"shape": [-3]},
        {"shape": [1 << 40]},
        {"shape": None},
        {"zlib": "!"},
        {"zlib": "AAAA"},
    ],
)
def test_a_damaged_array_is_refused(harm):
    with pytest.raises(ModelError, match="cannot be"):
        decode({**encode(np.arange(3.0)), **harm})


def test_objects_are_refused():
    with pytest.raises(ModelError, match="object"):
        encode(np.array([{}, None], dtype=object))


def test_the_digest_looks_at_the_numbers_and_not_at_their_packing():
    import base64
    import zlib

    plain = np.arange(1000.0)
    one = encode(plain)
    other = one | {"zlib": base64.b64encode(zlib.compress(plain.tobytes(), 1)).decode()}
    assert one != other
    assert digest({"w": [one]}) == digest({"w": [other]})
    assert digest({"w": [one]}) != digest({"w": [encode(plain + 1e-12)]})
    assert digest({"w": 1}) != digest({"v": 1})
    assert len(digest({})) == 12
