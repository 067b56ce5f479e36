"""The intensity of buying: a year is a year, evenings are evenings all year, curves invert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from connector.demo.season import BERLIN, DAY_S, season, seconds


def test_a_year_of_buying_is_about_one():
    first = datetime(2023, 1, 1, tzinfo=UTC)
    when = season(first, datetime(2026, 1, 1, tzinfo=UTC))
    for year in (2023, 2024, 2025):
        ends = [
            float(when.buying(seconds(datetime(y, 1, 1, tzinfo=UTC)))) for y in (year, year + 1)
        ]
        assert ends[1] - ends[0] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("day", ["2025-01-15", "2025-03-30", "2025-07-16", "2025-10-26"])
def test_the_busiest_hour_is_eight_in_the_evening_in_berlin(day):
    midnight = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    when = season(midnight - timedelta(days=2), midnight + timedelta(days=2))
    start = seconds(midnight)
    # A day of the clock change has 23 or 25 hours; walk it in UTC.
    hours = start + 3600 * np.arange(26)
    busy = int(np.argmax(np.diff(when.buying(hours))))
    local = datetime.fromtimestamp(int(hours[busy]), tz=UTC).astimezone(ZoneInfo("Europe/Berlin"))
    assert local.hour == 20


def test_instants_invert_the_curve():
    first = datetime(2025, 1, 1, tzinfo=UTC)
    when = season(first, datetime(2025, 12, 31, tzinfo=UTC))
    at = seconds(first) + np.random.default_rng(0).integers(0, 360 * DAY_S, 5000)
    back = when.instants(when.buying(at))
    assert np.abs(back - at).max() <= 1


def test_discounts_lower_what_is_paid():
    first = datetime(2025, 11, 1, tzinfo=UTC)
    when = season(first, datetime(2025, 12, 1, tzinfo=UTC))
    quiet = [seconds(datetime(2025, 11, d, 12, tzinfo=UTC)) for d in (5, 6)]
    sale = [seconds(datetime(2025, 11, d, 12, tzinfo=UTC)) for d in (25, 26)]
    paid = {
        name: float(
            np.diff(when.buying_paid(np.array(pair)))[0] / np.diff(when.buying(np.array(pair)))[0]
        )
        for name, pair in (("quiet", quiet), ("sale", sale))
    }
    assert paid["quiet"] == pytest.approx(1 - 0.10 * 0.10)
    assert paid["sale"] == pytest.approx(1 - 0.70 * 0.25)


def test_naive_times_are_refused():
    with pytest.raises(ValueError, match="time zone"):
        seconds(datetime(2025, 1, 1))  # noqa: DTZ001 - the point of the test
