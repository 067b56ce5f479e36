"""The benches at toy size: they follow the engine's relations, and a missed bar fails the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import diff, no_change
from bench.measure import Measure, race

N_PEOPLE = 400


def test_the_diff_finds_what_was_disturbed(tmp_path: Path) -> None:
    read = diff.prepare(tmp_path, N_PEOPLE)
    # Records, memberships and arms; one membership in two hundred is forgotten.
    assert read["rows"] == 3 * N_PEOPLE - N_PEOPLE // 200
    assert diff.compare(tmp_path)["written"] % 10 == 0
    assert diff.plan(tmp_path, N_PEOPLE)["changes"] > 0


def test_without_change_nothing_is_called() -> None:
    found = no_change.measure(N_PEOPLE)
    assert (found["changes"], found["pushed"], found["asked"]) == (0, 0, 1)


def test_a_race_takes_turns() -> None:
    order: list[str] = []
    found = race(lambda: order.append("work"), lambda: order.append("floor"), rounds=2)
    assert order == ["work", "floor", "work", "floor"]
    assert len(found["ratios"]) == 2


@pytest.mark.parametrize(("ok", "code", "verdict"), [(True, 0, "yes"), (False, 1, "NO")])
def test_a_missed_bar_fails_the_run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ok: bool,
    code: int,
    verdict: str,
) -> None:
    monkeypatch.setitem(
        bench.BENCHES, "poison", lambda: [Measure("calls", "30", bar="< 20", ok=ok)]
    )
    assert bench.main(["poison"]) == code
    assert capsys.readouterr().out.splitlines()[1].split() == ["calls", "30", "<", "20", verdict]


def test_an_unknown_bench_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["nothing"]) == 2
    assert "no such bench: nothing" in capsys.readouterr().out
