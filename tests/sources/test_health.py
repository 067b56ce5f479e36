from datetime import UTC, datetime, timedelta

import pytest

from connector.domain import Level
from connector.sources.health import check_freshness, check_rows
from connector.sources.spec import Freshness, TableReport

NOW = datetime(2025, 7, 1, tzinfo=UTC)
LIMITS = Freshness("updated_at", timedelta(hours=26), timedelta(hours=50))


def report(n_kept=100, freshest=None):
    return TableReport("orders", n_kept, 0, 0, {}, n_kept, freshest=freshest)


@pytest.mark.parametrize(
    ("hours", "level"),
    [(-1, Level.OK), (26, Level.OK), (27, Level.WARNING), (50, Level.WARNING), (51, Level.ERROR)],
)
def test_age_decides(hours, level):
    found = check_freshness(report(freshest=NOW - timedelta(hours=hours)), LIMITS, now=NOW)
    assert found.level is level


def test_a_table_without_any_time_is_stale():
    assert check_freshness(report(), LIMITS, now=NOW).level is Level.ERROR


@pytest.mark.parametrize(
    ("before", "n_kept", "level"),
    [
        (None, 5, Level.OK),
        (100, 100, Level.OK),
        (100, 70, Level.OK),
        (100, 69, Level.ERROR),
        (100, 500, Level.OK),
        (None, 0, Level.ERROR),
        (0, 0, Level.ERROR),
    ],
)
def test_lost_rows_are_an_error_above_the_limit(before, n_kept, level):
    previous = {} if before is None else {"orders": before}
    (found,) = check_rows([report(n_kept)], previous, max_drop_share=0.3)
    assert found.level is level
