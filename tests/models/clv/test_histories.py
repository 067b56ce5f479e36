"""Records are checked one by one; compression and units change nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import ModelError
from connector.models.clv.histories import Histories, Unit, compress, pairs, screen, tabulate

COUNTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 6), st.integers(0, 5)), min_size=1, max_size=40
)


def histories(rows, *, fraction=0.0):
    x = np.array([row[0] for row in rows], dtype=float)
    last = np.array([row[1] if row[0] else 0 for row in rows], dtype=float) * (1 + fraction)
    return Histories.of(x, last, last + np.array([row[2] for row in rows]) + fraction)


def test_impossible_records_are_told_by_position_and_the_others_kept():
    x = [1, 0, 2, 1, 3, np.nan, 1.5, -1, 4]
    last = [5, 3, 9, 0, 5, 1, 2, 0, 6]
    age = [9, 9, 8, 9, 9, 9, 9, 9, 6]
    kept, rejections = screen(x, last, age)
    assert kept.repeats.tolist() == [1, 3, 4]
    assert kept.age_days.tolist() == [9, 9, 6]
    found = {r.reason.split("(")[0].strip(): r.positions.tolist() for r in rejections}
    assert found == {
        "a number is missing or infinite": [5],
        "a number is negative": [7],
        "the repeat purchases are not a whole number": [6],
        "the last purchase lies after the end of observation": [2],
        "a last purchase after the first one without a repeat": [1],
        "repeat purchases on the day of the first one": [3],
    }


def test_an_error_counts_all_and_lists_the_first():
    last = np.ones(1000)
    with pytest.raises(ModelError, match=r"x = 0, t_x > 0\): 1000 \(positions 0, 1, .*9, \.\.\.\)"):
        Histories.of(np.zeros(1000), last, last * 2)


def test_lengths_must_agree():
    with pytest.raises(ModelError, match="one length"):
        Histories.of([1, 2], [1], [3, 4])


def test_weeks_become_whole_days():
    days = np.arange(1.0, 400.0)
    read = Histories.of(np.ones(399), days / 7, days / 7, unit=Unit.WEEKS)
    assert np.array_equal(read.last_age_days, days)


@given(COUNTS, st.sampled_from([0.0, 0.25]))
@settings(max_examples=100, deadline=None)
def test_compression_is_counting(rows, fraction):
    given_rows = histories(rows, fraction=fraction)
    unique = compress(given_rows)
    h = unique.histories
    found = dict(
        zip(zip(h.repeats, h.age_days, h.last_age_days, strict=True), unique.counts, strict=True)
    )
    expected: dict[tuple[float, float, float], int] = {}
    triples = zip(given_rows.repeats, given_rows.age_days, given_rows.last_age_days, strict=True)
    for key in triples:
        expected[key] = expected.get(key, 0) + 1
    assert found == expected
    assert list(found) == sorted(found)


@given(COUNTS, st.sampled_from([0.0, 0.25]))
@settings(max_examples=60, deadline=None)
def test_pairs_lead_back_to_every_record(rows, fraction):
    h = histories(rows, fraction=fraction)
    pair = pairs(h)
    assert np.array_equal(pair.repeats[pair.codes], h.repeats)
    assert np.array_equal(pair.age_days[pair.codes], h.age_days)
    assert len(set(zip(pair.repeats, pair.age_days, strict=True))) == pair.repeats.size


def test_codes_do_not_need_whole_or_small_numbers():
    for values in (np.array([0.5, 3.0, 0.5]), np.array([1e15, 2.0, 1e15]), np.array([3.0, 0.0])):
        table = tabulate(values)
        assert np.array_equal(table.values[table.codes], values)


def test_a_sample_keeps_the_top_and_the_weight():
    rng = np.random.default_rng(1)
    x = rng.poisson(1.0, 50_000).astype(float)
    age = rng.integers(100, 900, x.size).astype(float)
    x[0] = 5000
    h = Histories.of(x, np.where(x > 0, np.floor(age * 0.7), 0), age)
    full = compress(h)
    sample = full.sample(2_000)
    assert len(sample) <= 2_100
    assert sample.n_customers == pytest.approx(len(h))
    assert sample.histories.repeats.max() == 5000
    assert sample.counts[-1] == 1
    for moment in (lambda s: s.repeats, lambda s: s.age_days, lambda s: s.repeats * s.age_days):
        whole = moment(full.histories) @ full.counts
        assert moment(sample.histories) @ sample.counts == pytest.approx(whole, rel=0.01)
