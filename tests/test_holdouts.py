"""Arms against hashlib, the binomial law and the published bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

import duckdb
import pytest
from scipy import stats

from connector import holdouts
from connector.domain import Arm
from connector.errors import ConfigError

AS_OF = datetime(2026, 3, 2, 5, tzinfo=UTC)
N = 20_000
THIRDS = {Arm.TREATMENT: 0.85, Arm.BUSINESS_AS_USUAL: 0.05, Arm.NO_CONTACT: 0.10}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE cfg_campaigns(campaign TEXT, segment TEXT, epoch INTEGER, active BOOL,"
        " exempt BOOL)"
    )
    connection.execute(
        "CREATE TABLE st_assignments(campaign TEXT, epoch BIGINT, profile_id TEXT, arm TEXT,"
        " bucket BIGINT, first_eligible_at TEXT)"
    )
    yield connection
    connection.close()


def candidates(con: duckdb.DuckDBPyConnection, *campaigns: str, n: int = N, epoch: int = 1) -> None:
    con.execute("DELETE FROM cfg_campaigns")
    for name in campaigns:
        con.execute(
            "INSERT INTO cfg_campaigns VALUES (?, 's', ?, true, ?)", [name, epoch, name == "exempt"]
        )
    con.execute(
        "CREATE OR REPLACE TABLE candidates AS SELECT c.campaign, c.epoch, 's' AS segment,"
        f" 'p' || i AS profile_id, '' AS reason, CAST(NULL AS TEXT) AS blocked FROM range({n})"
        f" r(i), cfg_campaigns c"
    )


def draw(con: duckdb.DuckDBPyConnection, *draws: holdouts.Draw, salt: str = "salt", **more) -> None:
    more.setdefault("global_draw", None)
    holdouts.draw_arms(con, salt=salt, draws=draws, as_of=AS_OF, **more)


def test_the_published_bucket() -> None:
    # The reference value: md5('camp-1:cust_42'), first eight digits.
    assert int(hashlib.md5(b"camp-1:cust_42").hexdigest()[:8], 16) == 788193031


def test_the_engine_draws_what_hashlib_draws(con: duckdb.DuckDBPyConnection) -> None:
    candidates(con, "winback", n=2_000)
    draw(con, holdouts.Draw("winback", 1, THIRDS))
    rows = con.execute("SELECT profile_id, arm, bucket FROM arms").fetchall()
    assert len(rows) == 2_000
    for profile, arm, bucket in rows:
        point = int(hashlib.md5(f"salt:winback:1:{profile}".encode()).hexdigest()[:8], 16)
        assert bucket == point
        assert arm == (
            "treatment"
            if point < 0.85 * 2**32
            else "business_as_usual"
            if point < 0.9 * 2**32
            else "no_contact"
        )
        assert holdouts.bucket_of("salt", "winback", 1, profile) == point
        assert holdouts.arm_of(point, THIRDS) == arm


def test_shares_are_met(con: duckdb.DuckDBPyConnection) -> None:
    candidates(con, "winback")
    draw(con, holdouts.Draw("winback", 1, THIRDS))
    counts = dict(con.execute("SELECT arm, count(*) FROM arms GROUP BY 1").fetchall())
    observed = [counts[arm.value] for arm in THIRDS]
    assert stats.chisquare(observed, [share * N for share in THIRDS.values()]).pvalue > 1e-4


def test_campaigns_and_epochs_are_independent(con: duckdb.DuckDBPyConnection) -> None:
    candidates(con, "a", "b")
    draw(
        con,
        holdouts.Draw("a", 1, {Arm.TREATMENT: 0.95, Arm.NO_CONTACT: 0.05}),
        holdouts.Draw("b", 1, {Arm.TREATMENT: 0.95, Arm.NO_CONTACT: 0.05}),
    )
    both = con.execute(
        "SELECT count(*) FROM (SELECT profile_id FROM arms WHERE arm = 'no_contact' GROUP BY 1"
        " HAVING count(*) = 2)"
    ).fetchone()[0]
    # Two 5 % holdouts overlap in 0.25 % of people when they are independent.
    assert stats.binomtest(both, N, 0.0025).pvalue > 1e-4
    first = {
        row[0]
        for row in con.execute(
            "SELECT profile_id FROM arms WHERE campaign = 'a' AND arm = 'no_contact'"
        ).fetchall()
    }
    candidates(con, "a", epoch=2)
    draw(con, holdouts.Draw("a", 2, {Arm.TREATMENT: 0.95, Arm.NO_CONTACT: 0.05}))
    second = {
        row[0]
        for row in con.execute("SELECT profile_id FROM arms WHERE arm = 'no_contact'").fetchall()
    }
    assert stats.binomtest(len(first & second), N, 0.0025).pvalue > 1e-4


def test_the_log_wins_over_the_hash(con: duckdb.DuckDBPyConnection) -> None:
    candidates(con, "a", n=1_000)
    draw(con, holdouts.Draw("a", 1, {Arm.TREATMENT: 0.5, Arm.NO_CONTACT: 0.5}))
    con.execute(
        "INSERT INTO st_assignments SELECT campaign, epoch, profile_id, arm, bucket,"
        " first_eligible_at FROM arms WHERE profile_id < 'p5'"
    )
    before = dict(con.execute("SELECT profile_id, arm FROM st_assignments").fetchall())
    draw(con, holdouts.Draw("a", 1, {Arm.TREATMENT: 1.0}))
    after = dict(con.execute("SELECT profile_id, arm FROM arms").fetchall())
    assert {p: after[p] for p in before} == before
    assert {arm for p, arm in after.items() if p not in before} == {"treatment"}


def test_the_global_holdout_is_drawn_first_and_spares_exempt_campaigns(
    con: duckdb.DuckDBPyConnection,
) -> None:
    candidates(con, "a", "exempt")
    half = {Arm.TREATMENT: 0.5, Arm.NO_CONTACT: 0.5}
    draw(
        con,
        holdouts.Draw("a", 1, {Arm.TREATMENT: 1.0}),
        holdouts.Draw("exempt", 1, {Arm.TREATMENT: 1.0}),
        global_draw=holdouts.Draw("universal", 1, half),
    )
    held = {
        r[0]
        for r in con.execute(
            "SELECT profile_id FROM arms WHERE campaign = 'universal' AND arm = 'no_contact'"
        ).fetchall()
    }
    assert len(held) == pytest.approx(N / 2, rel=0.05)
    assert held == {
        r[0]
        for r in con.execute(
            "SELECT profile_id FROM candidates WHERE campaign = 'a' AND blocked = 'global_holdout'"
        ).fetchall()
    }
    assert not held & {
        r[0] for r in con.execute("SELECT profile_id FROM arms WHERE campaign = 'a'").fetchall()
    }
    assert con.execute("SELECT count(*) FROM arms WHERE campaign = 'exempt'").fetchone() == (N,)


def test_shares_that_fall_short_of_one_leave_nobody_without_an_arm(
    con: duckdb.DuckDBPyConnection,
) -> None:
    candidates(con, "a")
    third = 1 / 3 - 1e-9
    draw(con, holdouts.Draw("a", 1, dict.fromkeys(holdouts.ORDER, third)))
    assert con.execute("SELECT count(*) FROM arms").fetchone() == (N,)


def test_a_changed_salt_is_refused() -> None:
    digest = holdouts.check_salt(None, "old")
    assert holdouts.check_salt(digest, "old") == digest
    with pytest.raises(ConfigError, match="differs from the salt"):
        holdouts.check_salt(digest, "new")
    assert "old" not in digest
