"""An experiment that was run elsewhere, against numpy, scipy and statsmodels on the same people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from typer.testing import CliRunner

from connector.cli.app import app
from connector.errors import ConfigError, LiftlineError, SourceError

N = 9_000
SHARES = {"control": 0.2, "free shipping": 0.4, "ten percent": 0.4}


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    arm = rng.choice(list(SHARES), N, p=list(SHARES.values()))
    pre = np.where(rng.random(N) < 0.4, rng.lognormal(4, 0.7, N), 0.0).round(2)
    buys = rng.random(N) < 0.09 * (1 + 0.4 * (arm == "ten percent")) * (1 + pre / 150)
    revenue = np.where(buys, rng.lognormal(4.2, 0.8, N), 0.0).round(2)
    return pd.DataFrame(
        {
            "user_id": [f"u{i:05}" for i in range(N)],
            "variant": arm,
            "pre_revenue": pre,
            "country": rng.choice(["AT", "CH", "DE"], N),
            "revenue": revenue,
            "orders": buys.astype(int) * rng.integers(1, 3, N),
            "converted": buys.astype(int),
        }
    )


@pytest.fixture(scope="module")
def folder(people: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Assignments as CSV; outcomes of buyers alone, in one row for each order; covariates."""
    place = tmp_path_factory.mktemp("experiment")
    people[["user_id", "variant"]].to_csv(place / "arms.csv", index=False)
    buyers = people[people["orders"] > 0]
    rows = buyers.loc[buyers.index.repeat(buyers["orders"]), ["user_id"]].copy()
    first = ~rows["user_id"].duplicated()
    by = buyers.set_index("user_id")
    rows["revenue"] = np.where(first, by.loc[rows["user_id"], "revenue"].to_numpy(), 0.0)
    rows["orders"] = 1
    rows["converted"] = first.astype(int)
    stranger = pd.DataFrame(
        {"user_id": ["x1", "x2"], "revenue": [5.0, 5.0], "orders": 1, "converted": 1}
    )
    rows = pd.concat([rows, stranger]).sample(frac=1, random_state=1)
    rows.to_csv(place / "outcomes.csv", index=False)
    rows.to_parquet(place / "outcomes.parquet", index=False)
    people[["user_id", "pre_revenue", "country"]].to_csv(place / "before.csv", index=False)
    return place


def run(folder: Path, *more: str, outcomes: str = "outcomes.csv") -> list[dict[str, Any]]:
    given = ["--assignments", str(folder / "arms.csv"), "--outcomes", str(folder / outcomes)]
    done = CliRunner().invoke(
        app, ["lift", *given, "--output", "json", *more], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return list(json.loads(done.stdout)["comparisons"])


def find(found: list[dict[str, Any]], metric: str, treatment: str, control: str) -> dict[str, Any]:
    (one,) = [
        f
        for f in found
        if f["metric"] == metric and f["comparison"] == f"{treatment} against {control}"
    ]
    return one


def hall(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Hall's interval by solving its cubic numerically, from the people themselves."""
    se = np.sqrt(x.var(ddof=1) / x.size + y.var(ddof=1) / y.size)
    g = (stats.moment(x, 3) / x.size**2 - stats.moment(y, 3) / y.size**2) / se**3
    bounds = []
    for z in (stats.norm.ppf(0.975), stats.norm.ppf(0.025)):
        roots = np.roots([g**2 / 27, g / 3, 1, g / 6 - z])
        (t,) = roots[np.abs(roots.imag) < 1e-9].real
        bounds.append(x.mean() - y.mean() - se * t)
    return bounds[0], bounds[1]


def arms(people: pd.DataFrame, column: str) -> dict[str, np.ndarray]:
    return {arm: rows[column].to_numpy(float) for arm, rows in people.groupby("variant")}


def test_means_are_halls_on_everybody_assigned(people: pd.DataFrame, folder: Path) -> None:
    found = run(folder, "--metric", "revenue")
    values = arms(people, "revenue")
    one = find(found, "revenue", "ten percent", "control")
    x, y = values["ten percent"], values["control"]
    assert (one["treatment"]["n"], one["holdout"]["n"]) == (x.size, y.size)
    assert one["difference"]["estimate"] == pytest.approx(x.mean() - y.mean(), rel=1e-9)
    low, high = hall(x, y)
    assert one["difference"]["low"] == pytest.approx(low, rel=1e-9)
    assert one["difference"]["high"] == pytest.approx(high, rel=1e-9)
    pooled = (np.count_nonzero(x) + np.count_nonzero(y)) / (x.size + y.size)
    assert one["expected_buyers"] == pytest.approx(pooled * y.size)


def test_every_two_arms_are_compared_and_corrected_together(folder: Path) -> None:
    found = run(folder, "--metric", "revenue")
    assert [one["comparison"] for one in found] == [
        "free shipping against control",
        "ten percent against control",
        "free shipping against ten percent",
    ]
    raw = [one["p_value"] for one in found]
    corrected = multipletests(raw, method="fdr_bh")[1]
    assert [one["p_adjusted"] for one in found] == pytest.approx(list(corrected), rel=1e-9)


def test_covariates_sharpen_and_class(people: pd.DataFrame, folder: Path) -> None:
    found = run(folder, "--metric", "revenue", "--covariates", str(folder / "before.csv"))
    one = find(found, "revenue", "ten percent", "control")
    y, x = arms(people, "revenue"), arms(people, "pre_revenue")
    both = [np.concatenate([v[a] for a in ("ten percent", "control")]) for v in (y, x)]
    theta = np.cov(*both)[0, 1] / both[1].var(ddof=1)
    adjusted = [y[a].mean() - theta * x[a].mean() for a in ("ten percent", "control")]
    assert one["difference"]["estimate"] == pytest.approx(adjusted[0] - adjusted[1], rel=1e-6)
    plain = find(run(folder, "--metric", "revenue"), "revenue", "ten percent", "control")
    width = [f["difference"]["high"] - f["difference"]["low"] for f in (one, plain)]
    assert width[0] < width[1]
    assert {s["name"] for s in one["segments"] if s["dimension"] == "country"} == {"AT", "CH", "DE"}
    n = sum(s["treatment"]["n"] for s in one["segments"])
    assert n == one["treatment"]["n"]


def test_a_ratio_is_that_of_totals(people: pd.DataFrame, folder: Path) -> None:
    one = find(
        run(folder, "--metric", "revenue/orders"), "revenue/orders", "ten percent", "control"
    )
    totals = people.groupby("variant")[["revenue", "orders"]].sum()
    ratio = totals["revenue"] / totals["orders"]
    assert one["difference"]["estimate"] == pytest.approx(
        ratio["ten percent"] - ratio["control"], rel=1e-9
    )
    assert one["verdict"] in {"directional_only", "not_enough_data"}


def test_the_split_is_scipys_and_a_broken_one_is_not_trusted(
    people: pd.DataFrame, folder: Path
) -> None:
    sizes = people["variant"].value_counts()
    told = [arg for arm, share in SHARES.items() for arg in ("--share", f"{arm}={share:.0%}")]
    found = run(folder, "--metric", "converted", *told)
    wanted = stats.chisquare([sizes[arm] for arm in SHARES], [N * s for s in SHARES.values()])
    assert found[0]["srm_p"] == pytest.approx(wanted.pvalue, rel=1e-9)
    even = [arg for arm in SHARES for arg in ("--share", f"{arm}=1")]
    broken = run(folder, "--metric", "converted", *even)
    assert {one["verdict"] for one in broken} == {"do_not_trust"}


def test_csv_and_parquet_say_the_same_to_the_last_digit(folder: Path) -> None:
    numbers = [
        [(f["p_value"], f["difference"]) for f in run(folder, outcomes=name)]
        for name in ("outcomes.csv", "outcomes.parquet")
    ]
    assert numbers[0] == numbers[1]


def test_nobody_is_lost_silently(people: pd.DataFrame, folder: Path) -> None:
    notes = [h["message"] for h in run(folder, "--metric", "converted")[0]["health"]]
    silent = int((people["orders"] == 0).sum())
    assert f"{silent:,} people have no row in outcomes.csv and count as nothing." in notes
    assert "2 people of outcomes.csv are in no arm and were left out." in notes


def test_a_value_that_is_not_known_is_no_zero(folder: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(folder / "outcomes.csv", dtype={"user_id": str})
    rows.loc[rows["user_id"].str.startswith("u").idxmax(), "revenue"] = None
    rows.to_csv(tmp_path / "outcomes.csv", index=False)
    (tmp_path / "arms.csv").write_bytes((folder / "arms.csv").read_bytes())
    found = run(tmp_path, "--metric", "revenue")
    doubted = [one for one in found if one["verdict"] == "do_not_trust"]
    assert len(doubted) == 2
    assert all("1 person has no value of revenue" in one["reason"] for one in doubted)


def test_the_page_and_the_files_beside_it(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "out" / "spring.html"
    found = run(folder, "--metric", "revenue", "--metric", "converted", "--out", str(page))
    rows = pq.read_table(page.with_suffix(".lift.parquet")).to_pylist()
    assert [row["difference_estimate"] for row in rows] == [
        one["difference"]["estimate"] for one in found
    ]
    stored = json.loads(page.with_suffix(".lift.json").read_text())["comparisons"]
    assert [one["p_value"] for one in stored] == [one["p_value"] for one in found]
    text = page.read_text()
    assert "ten percent" in text
    assert "u00001" not in text
    assert len(text) < 3_000_000


def torn(folder: Path, tmp_path: Path) -> list[str]:
    text = (folder / "arms.csv").read_text()
    (tmp_path / "torn.csv").write_text(text + "u00000,control\nu00000,ten percent\n")
    return ["--assignments", str(tmp_path / "torn.csv")]


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        (["--control", "nobody"], ConfigError, "No arm is called 'nobody'"),
        (["--metric", "profit"], SourceError, "no column of numbers called 'profit'"),
        (["--arm", "bucket"], SourceError, "arms.csv has no column 'bucket'"),
        (["--outcomes", "nowhere.csv"], SourceError, "no file nowhere.csv"),
        (["--share", "control=10%"], ConfigError, "No intended share is told for"),
        (["--share", "control"], ConfigError, "is not like control=10%"),
        (["--confidence", "95"], ConfigError, "between 0.5 and 1"),
        ("torn", SourceError, "1 person stand"),
    ],
)
def test_what_is_wrong_is_named(
    folder: Path, tmp_path: Path, more: list[str] | str, error: type[LiftlineError], said: str
) -> None:
    given = ["--assignments", str(folder / "arms.csv"), "--outcomes", str(folder / "outcomes.csv")]
    extra = torn(folder, tmp_path) if more == "torn" else list(more)
    with pytest.raises(error, match=said):
        CliRunner().invoke(app, ["lift", *given, *extra], catch_exceptions=False)


@pytest.mark.parametrize(
    "amounts",
    [
        ["12,50", "8,00", "9,10"],
        ["12.50 €", "1,008.00 €", "9.10 €"],
        ["8.25", "inf", "n/a", "7", "3"],
    ],
)
def test_amounts_that_are_written_as_text_are_refused_and_not_left_out(tmp_path, amounts):
    """Left out in silence, the next column would decide in their place."""
    few = {"person": range(len(amounts))}
    arms = pd.DataFrame({**few, "arm": (["control", "new"] * 3)[: len(amounts)]})
    arms.to_csv(tmp_path / "arms.csv", index=False)
    did = pd.DataFrame({**few, "revenue": amounts, "orders": 1, "sku": "a1"})
    did.to_csv(tmp_path / "outcomes.csv", index=False)
    for more in ([], ["--metric", "revenue"]):
        with pytest.raises(SourceError, match="column revenue is text") as caught:
            run(tmp_path, *more)
        assert not any(amount in str(caught.value) for amount in amounts if len(amount) > 1)
    (found,) = run(tmp_path, "--metric", "orders")
    assert found["metric"] == "orders"


def test_columns_of_text_that_are_not_measured_are_named(folder, tmp_path):
    (tmp_path / "arms.csv").write_text((folder / "arms.csv").read_text())
    did = pd.read_csv(folder / "outcomes.csv").assign(day="2026-03-01", sku="o17", post="01234")
    did.to_csv(tmp_path / "outcomes.csv", index=False)
    notes = [one["message"] for one in run(tmp_path)[0]["health"]]
    assert "No numbers, so not measured: day, sku, post of outcomes.csv." in notes


def test_what_is_infinite_is_refused(folder, tmp_path):
    (tmp_path / "arms.csv").write_text((folder / "arms.csv").read_text())
    did = pd.read_parquet(folder / "outcomes.parquet")
    did.iloc[3, did.columns.get_loc("revenue")] = np.inf
    did.to_parquet(tmp_path / "outcomes.parquet", index=False)
    with pytest.raises(SourceError, match="1 value of revenue"):
        run(tmp_path, "--metric", "revenue", outcomes="outcomes.parquet")


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        (["control=20%", "free shipping=40%", "ten percent=30%"], "add up to 90 %"),
        (["control=nan", "free shipping=40", "ten percent=40"], "positive numbers"),
        (["control=20%", "control=30%", "ten percent=50%"], "twice"),
    ],
)
def test_shares_that_cannot_be_meant_are_refused(folder, shares, said):
    """A slip must not look like a broken split, or leave the split untested."""
    with pytest.raises(ConfigError, match=said):
        run(folder, *(part for share in shares for part in ("--share", share)))


def test_a_file_all_in_quotation_marks_is_read(people, folder, tmp_path):
    arms = people[["user_id", "variant"]]
    arms.to_csv(tmp_path / "arms.csv", index=False, quoting=1)
    did = pd.read_csv(folder / "outcomes.csv")
    did.to_csv(tmp_path / "outcomes.csv", index=False, quoting=1, sep=";", encoding="utf-8-sig")
    assert (
        run(tmp_path, "--metric", "revenue")[0]["difference"]
        == (run(folder, "--metric", "revenue")[0]["difference"])
    )
