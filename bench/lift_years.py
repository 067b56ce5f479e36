"""Years of four campaigns whose truth is known: how often is what the analysis says wrong?

Arms are drawn by the product's own statement, night after night, while people come back, withdraw,
are never reached, and turn out to be somebody else; outcomes are simulated; and the product's own
analysis looks at them again and again until the registered end. Everything that it says is then
held against what was put in.

What goes on in a year of a campaign:

* every week an eighth of its people becomes eligible, and a tenth of those of earlier weeks comes
  back: the log must keep their first arm;
* one in ten of the treated is never reached, and one in twenty withdraws half way: they count
  where they were assigned, so that the truth is the effect of having been *assigned*;
* one person in fifty has two accounts, which are merged after both were assigned, often to
  different arms: the earlier assignment counts, with what both accounts buy afterwards.

``python -m bench.lift_years`` simulates 500 years, prints the table and writes it to
``bench/lift_years.md``; ``tests/lift/test_years.py`` is the gate on fewer of them.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from connector.domain import Arm
from connector.holdouts import Draw, draw_arms
from connector.lift.analysis import CampaignSpec, IntendedShares, analyse
from connector.lift.compare import MeasurementSpec
from connector.lift.metrics import MetricKind, MetricSpec
from connector.lift.result import CampaignLift, Stage
from connector.lift.sequential import Design
from connector.lift.verdict import Verdict
from connector.pipeline.prove.measure import load_assignments
from connector.tables import MONEY
from connector.warehouse.duckdb import DuckDBWarehouse

YEARS = 500
EFFECTS: Mapping[str, float] = {"helps": 0.50, "nothing": 0.0, "harms": -0.45, "barely": 0.01}
"""Campaign -> what treatment that reaches a person does to the chance to buy."""

N_PEOPLE = 2_000
RATE = 0.16
HELD_OUT = 0.3
MU, SIGMA, CAP = 4.35, 0.9, 499.0
WEEKS = 8
WINDOW_DAYS = 30
LOOKS_DAYS = (44, 53, 62, 71)
"""Looks on the way, days after the start; the registered end comes after them."""
END_DAYS = 7 * (WEEKS - 1) + WINDOW_DAYS + 1
REACHED, WITHDRAWN, RETURNING, TWICE = 0.9, 0.05, 0.1, 0.02
START = datetime(2025, 1, 6, tzinfo=UTC)
SHARES = {Arm.TREATMENT: 1 - HELD_OUT, Arm.NO_CONTACT: HELD_OUT}

REVENUE = MetricSpec("revenue_per_person_30d", MetricKind.SUM, "net_revenue", WINDOW_DAYS)
CONVERSION = MetricSpec("conversion_30d", MetricKind.SHARE, "orders >= 1", WINDOW_DAYS)
METRICS = (REVENUE, CONVERSION)
HYBRID = MeasurementSpec(design=Design.HYBRID, corrects=False)
FELT = REACHED * (1 - WITHDRAWN / 2)
"""Share of the effect that arrives, of those assigned to treatment."""


class _State:
    """The tables of the state that hold arms, in DuckDB: a million rows of SQLite take minutes."""

    def __init__(self, warehouse: DuckDBWarehouse) -> None:
        self.con = warehouse.connection

    def arrow(self, queries: Mapping[str, str]) -> dict[str, pa.Table]:
        """As the state's own does it."""
        return {name: self.con.sql(sql).to_arrow_table() for name, sql in queries.items()}


def mean_basket() -> float:
    """Mean of a basket: a lognormal, capped."""
    rng = np.random.default_rng(0)
    return float(np.minimum(rng.lognormal(MU, SIGMA, 4_000_000), CAP).mean())


def campaign_of(year: int, name: str) -> str:
    """Name of a campaign of a year."""
    return f"{name} {year:04d}"


def draw_a_season(warehouse: DuckDBWarehouse, name: str, years: int, start: datetime) -> None:
    """Eight weekly runs of one campaign in every year: the tables ``assignments`` and ``merges``.

    Args:
        warehouse: Gets ``assignments``, ``profile_merges`` and ``people``.
        name: Of the campaign.
        years: How many.
        start: Of the first run.
    """
    con = warehouse.connection
    con.execute(
        f"""
        CREATE OR REPLACE TABLE people AS
        SELECT '{name} ' || lpad(CAST(y AS TEXT), 4, '0') AS campaign,
            'y' || y || 'p' || i AS profile_id, i % {WEEKS} AS week
        FROM range({years}) AS a(y), range({N_PEOPLE}) AS b(i)
        UNION ALL
        -- Second accounts, a week or more later than the first.
        SELECT '{name} ' || lpad(CAST(y AS TEXT), 4, '0'), 'y' || y || 'p' || i || 'b',
            i % {WEEKS} + 1 + (i // {WEEKS}) % ({WEEKS} - 1 - i % {WEEKS})
        FROM range({years}) AS a(y), range({N_PEOPLE}) AS b(i)
        WHERE i % {round(1 / TWICE)} = 3 AND i % {WEEKS} < {WEEKS} - 1
        """
    )
    con.execute(
        "CREATE OR REPLACE TABLE profile_merges AS SELECT profile_id AS from_profile_id,"
        " rtrim(profile_id, 'b') AS into_profile_id FROM people WHERE profile_id LIKE '%b'"
    )
    con.execute(
        "CREATE OR REPLACE TABLE assignments AS SELECT '' AS campaign, 0 AS epoch, '' AS"
        " profile_id, '' AS arm, 0::BIGINT AS bucket, '' AS first_eligible_at, 'v1' AS"
        " config_version, '' AS run_id, '' AS offer WHERE FALSE"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE cfg_campaigns AS SELECT DISTINCT campaign, FALSE AS exempt"
        " FROM people"
    )
    draws = [Draw(campaign_of(year, name), 1, SHARES) for year in range(years)]
    for week in range(WEEKS):
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE candidates AS
            SELECT campaign, 1 AS epoch, profile_id, CAST(NULL AS TEXT) AS blocked FROM people
            WHERE week = {week} OR (week < {week}
                AND hash(profile_id, {week}) % 1000 < {round(1000 * RETURNING)})
            """
        )
        con.execute("CREATE OR REPLACE TEMP TABLE st_assignments AS FROM assignments")
        now = start + timedelta(days=7 * week)
        draw_arms(con, salt=f"season of {name}", draws=draws, global_draw=None, as_of=now)
        con.execute(
            "INSERT INTO assignments SELECT campaign, epoch, profile_id, arm, bucket,"
            f" first_eligible_at, 'v1', 'run {week}', '' FROM arms WHERE is_new"
        )


def let_them_buy(warehouse: DuckDBWarehouse, lift: float, rng: np.random.Generator) -> None:
    """Orders of everybody in the 30 days after the assignment: ``clean_orders``."""
    con = warehouse.connection
    rows = con.sql(
        "SELECT coalesce(m.into_profile_id, a.profile_id) AS profile_id, a.arm,"
        " CAST(replace(a.first_eligible_at, 'Z', '') AS TIMESTAMP) AS at FROM assignments AS a"
        " LEFT JOIN profile_merges AS m ON m.from_profile_id = a.profile_id"
        " ORDER BY a.campaign, a.profile_id"
    ).to_arrow_table()
    n = rows.num_rows
    treated = rows["arm"].to_numpy() == "treatment"
    reached = rng.random(n) < REACHED
    # Whoever withdraws half way has felt half of it.
    felt = reached * np.where(rng.random(n) < WITHDRAWN, 0.5, 1.0)
    buys = rng.random(n) < RATE * (1 + lift * treated * felt)
    n_orders = int(buys.sum())
    basket = np.minimum(rng.lognormal(MU, SIGMA, n_orders), CAP).round(2)
    seconds = rng.integers(0, WINDOW_DAYS * 86_400, n_orders)
    at = rows["at"].to_numpy()[buys] + seconds.astype("timedelta64[s]")
    con.register(
        "bought",
        pa.table({"profile_id": rows["profile_id"].filter(pa.array(buys)), "placed": at,
                  "basket": basket}),
    )  # fmt: skip
    con.execute(
        "CREATE OR REPLACE TABLE clean_orders AS SELECT profile_id,"
        " placed::TIMESTAMP AS ordered_at,"
        f" FALSE AS is_return, basket::{MONEY} AS net_revenue, basket::{MONEY} AS gross,"
        f" CAST(NULL AS {MONEY}) AS margin FROM bought"
    )
    con.unregister("bought")


@dataclass
class Tally:
    """What was said of one campaign and metric, over all years.

    Attributes:
        truth: The effect of having been assigned, per person.
        n: Years.
        covered: Years whose last interval holds the truth.
        above: Years whose last interval lies above it; ``below`` likewise.
        words: The word on the registered end.
        ever: Wins or losses that were said at any look, the last one included.
        early: The same on the way alone.
    """

    truth: float
    n: int = 0
    covered: int = 0
    above: int = 0
    below: int = 0
    words: Counter[Verdict] = field(default_factory=Counter)
    ever: Counter[Verdict] = field(default_factory=Counter)
    early: Counter[Verdict] = field(default_factory=Counter)

    @property
    def wrong(self) -> tuple[int, int]:
        """Years in which a wrong word was said at some look, and at the end."""
        bad = [Verdict.LOSS] if self.truth > 0 else [Verdict.WIN] if self.truth < 0 else []
        bad = bad or [Verdict.WIN, Verdict.LOSS]
        return sum(self.ever[word] for word in bad), sum(self.words[word] for word in bad)


def simulate(
    years: int, *, seed: int, measurement: MeasurementSpec = HYBRID
) -> dict[tuple[str, str], Tally]:
    """(campaign, metric) -> what was said of it in all years."""
    rng = np.random.default_rng(seed)
    basket = mean_basket()
    tallies: dict[tuple[str, str], Tally] = {}
    for quarter, (name, lift) in enumerate(EFFECTS.items()):
        buyers = RATE * lift * FELT
        for metric in METRICS:
            truth = buyers * (basket if metric is REVENUE else 1.0)
            tallies[name, metric.name] = Tally(truth)
        start = START + timedelta(days=91 * quarter)
        with DuckDBWarehouse() as warehouse:
            draw_a_season(warehouse, name, years, start)
            let_them_buy(warehouse, lift, rng)
            # As in production: merged people mapped, and the earliest assignment kept.
            load_assignments(_State(warehouse), warehouse)  # type: ignore[arg-type]
            end = start + timedelta(days=END_DAYS)
            specs = [
                CampaignSpec(
                    campaign_of(year, name),
                    METRICS,
                    (IntendedShares(1, "v1", SHARES),),
                    ends_at=end,
                )
                for year in range(years)
            ]
            looks = [*(start + timedelta(days=day) for day in LOOKS_DAYS), end]
            said: dict[tuple[str, str], list[CampaignLift]] = defaultdict(list)
            for at in looks:
                for one in analyse(warehouse, specs, as_of=at, measurement=measurement):
                    said[one.campaign, one.metric].append(one)
        for (_, metric_name), history in said.items():
            _count(tallies[name, metric_name], history)
    return tallies


def _count(tally: Tally, history: Sequence[CampaignLift]) -> None:
    """One year of one campaign and metric, looks in order."""
    last = history[-1]
    tally.n += 1
    if last.stage is not Stage.FINAL or last.difference is None:
        raise AssertionError(f"The last look of {last.campaign} decided nothing.")
    tally.above += last.difference.low > tally.truth
    tally.below += last.difference.high < tally.truth
    tally.covered += last.difference.low <= tally.truth <= last.difference.high
    tally.words[last.verdict] += 1
    decided = [one.verdict for one in history if one.verdict in (Verdict.WIN, Verdict.LOSS)]
    tally.ever.update(set(decided))
    tally.early.update({one.verdict for one in history[:-1]} & set(decided))


def table(tallies: Mapping[tuple[str, str], Tally]) -> str:
    """The table, in Markdown."""
    words = (Verdict.WIN, Verdict.LOSS, Verdict.NOT_ENOUGH_DATA, Verdict.FLAT, Verdict.DO_NOT_TRUST)
    head = ["campaign", "metric", "truth per person", "last interval holds it", "above / below it"]
    head += [word.value.replace("_", " ") for word in words]
    head += ["wrong word at the end", "wrong word at any look"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for (name, metric), one in tallies.items():

        def share(k: float, n: int = one.n) -> str:
            return f"{100 * k / n:.1f} %"

        ever, final = one.wrong
        cells = [name, metric, f"{one.truth:+.4f}", share(one.covered)]
        cells.append(f"{share(one.above)} / {share(one.below)}")
        cells += [share(one.words[word]) for word in words]
        cells += [share(final), share(ever)]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main(years: int = YEARS) -> None:
    """Simulate, print and write the table."""
    found = table(simulate(years, seed=20260301))
    alpha = 1 - HYBRID.confidence
    text = f"""# What the analysis said of campaigns whose truth is known

{years} simulated years of four campaigns, {N_PEOPLE:,} people each, {HELD_OUT:.0%} held out, looked
at {len(LOOKS_DAYS) + 1} times, the last on the registered end. People come back, withdraw, are not
reached and are merged all the while. Printed by `python -m bench.lift_years`, which says how.

The design is the default, "sequential hybrid" at {HYBRID.confidence:.0%}: half of the error is
spent on the way and half on the end. So the last interval should hold the truth in
{1 - alpha / 2:.1%} of the years, and a wrong word should be said in no more than {alpha:.0%} of
them, over all looks together.

{found}
"""
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
