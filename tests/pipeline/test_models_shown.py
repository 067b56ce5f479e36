"""Models where people see them: check, train, plan, published files, explain, report, backtest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from connector.domain import Level
from connector.errors import ConfigError
from connector.models import store
from connector.numbers import money
from connector.pipeline.check.findings import Checked, check
from connector.pipeline.person.explain import explaining
from connector.pipeline.person.explanation import Explanation
from connector.pipeline.project import Project
from connector.pipeline.show.backtesting import backtest_clv
from connector.pipeline.show.report import gather_report, write_report
from connector.pipeline.show.standing import Use
from connector.pipeline.show.trained import Trained
from connector.plan.document import Header, Plan
from connector.report.data import ReportData
from connector.report.models import LEAST_DOT
from connector.report.people import SMALL_CELL
from tests.pipeline import modelled_shop

NAMES = ["rfm", "purchase_30d", "clv", "personas", "affinity", "next"]


@dataclass
class Place:
    """Two applied runs a week apart, then a training, then a third run of the same instant."""

    project: Project
    folder: Path
    plans: list[Plan] = field(default_factory=list)
    runs: list[Path] = field(default_factory=list)
    checked: Checked | None = None
    report: ReportData | None = None
    trained: Trained | None = None
    of: Callable[[str], Explanation] | None = None

    def run(self) -> None:
        plan, report = self.project.sync()
        self.plans.append(plan)
        self.runs.append(self.project.state.folder / "runs" / report.run_id)

    def scores(self, run: int) -> pd.DataFrame:
        return pd.read_parquet(self.runs[run] / "scores.parquet").set_index("profile_id")

    def members(self, run: int, segment: str) -> set[str]:
        rows = pd.read_parquet(self.runs[run] / "memberships.parquet")
        return set(rows[rows.segment == segment].profile_id)

    def orders(self) -> pd.DataFrame:
        with duckdb.connect(str(self.folder / "shop.duckdb"), read_only=True) as con:
            con.execute("SET TimeZone = 'UTC'")
            frame = con.sql("SELECT * FROM orders").to_arrow_table().to_pandas()
        now = self.plans[1].header.as_of
        return frame[frame.ordered_at < now]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("modelled")
    modelled_shop.build(folder, n=600)
    clock = modelled_shop.Clock()
    text = modelled_shop.CONFIG.replace(
        "margin: {percentile: 10}", "margin: {percentile: {enter: 3, exit: 10}}"
    )
    with modelled_shop.open_project(folder, clock, text=text) as project:
        place = Place(project, folder)
        place.run()
        clock.now += timedelta(days=7)
        place.run()
        clock.now += timedelta(seconds=1)
        place.checked = check(project)
        place.report = gather_report(project)
        with explaining(project) as tell:
            place.of = tell
            place.trained = project.train()
            place.run()
            yield place


# ---------------------------------------------------------------------- plan and publication
def test_the_header_has_every_model_beside_its_best_naive_rule(place: Place) -> None:
    """Against the stored documents themselves."""
    header = place.plans[1].header
    assert [one["name"] for one in header.models] == NAMES
    for one in header.models[1:]:
        document = place.project.journal.model(one["name"])
        assert document is not None
        card = json.loads(_of_version(place.project, one["name"], 1))["model"]["card"]
        assert one["use"] == "stored"
        assert one["version"] == 1
        assert one["value"] == card["metrics"][one["measure"]]
        rules = [
            found[one["measure"]] for found in card["baselines"].values() if one["measure"] in found
        ]
        better = min if one["measure"] in {"rmse", "perplexity"} else max
        assert one["baseline"] == better(rules)
        assert all(passed for _, passed in one["gates"])
    assert Header.from_json(json.loads(json.dumps(header.to_json()))) == header


def _of_version(project: Project, name: str, version: int) -> str:
    rows = project.state.arrow({"m": "SELECT name, version, document FROM models"})["m"].to_pylist()
    (document,) = [
        row["document"] for row in rows if row["name"] == name and int(row["version"]) == version
    ]
    return str(document)


def test_a_first_run_has_no_flow_to_tell(place: Place) -> None:
    header = place.plans[0].header
    assert all(row["is_new"] and row["volatility"] is None for row in header.flows)
    assert all(row["joins"] == row["people"] and not row["leaves"] for row in header.flows)
    assert header.moves == ()


def test_flows_are_the_difference_of_two_runs(place: Place) -> None:
    """Against sets of the people that both runs published."""
    for row in place.plans[1].header.flows:
        before, after = (place.members(run, row["segment"]) for run in (0, 1))
        assert row["people"] == len(after)
        assert row["joins"] == len(after - before)
        assert row["leaves"] == len(before - after)
        assert row["volatility"] == pytest.approx(len(before ^ after) / len(before | after))
        assert not row["is_new"]
    assert any(row["joins"] and row["leaves"] for row in place.plans[1].header.flows)


@pytest.mark.parametrize(
    ("model", "column"),
    [("rfm", "rfm.group"), ("personas", "personas.name"), ("affinity", "affinity.top_name")],
)
def test_moves_are_the_difference_of_two_runs(place: Place, model: str, column: str) -> None:
    before, after = (place.scores(run)[column].dropna() for run in (0, 1))
    both = before.index.intersection(after.index)
    expected = Counter((a, b) for a, b in zip(before[both], after[both], strict=True) if a != b)
    moves = [row for row in place.plans[1].header.moves if row["of"] == model]
    assert Counter({(row["before"], row["after"]): row["people"] for row in moves}) == expected
    assert model == "affinity" or expected


def test_moves_between_segments(place: Place) -> None:
    names = ["ready", "cold", "valuable"]
    before, after = ({n: place.members(run, n) for n in names} for run in (0, 1))
    expected: Counter[tuple[str, str]] = Counter()
    for name in names:
        for person in before[name] - after[name]:
            joined = [n for n in names if person in after[n] - before[n]]
            expected.update((name, other) for other in joined or [""])
    moves = [row for row in place.plans[1].header.moves if row["of"] == "segments"]
    assert Counter({(row["before"], row["after"]): row["people"] for row in moves}) == expected
    assert expected


def test_a_run_publishes_scores_cards_and_flows_and_no_address(place: Place) -> None:
    folder = place.runs[1]
    columns = place.scores(1).columns
    for wanted in (
        "purchase_30d.probability", "purchase_30d.reasons", "clv.expected", "clv.tier",
        "personas.cluster", "affinity.top_name", "next.top5_names",
    ):  # fmt: skip
        assert wanted in columns
    assert not {"email", "phone", "customer_id"} & set(columns)
    cards = json.loads((folder / "models.json").read_text())
    assert [one["name"] for one in cards] == NAMES
    assert cards[1]["card"]["metrics"]["auc"] == place.plans[1].header.models[1]["value"]
    published = json.loads((folder / "segments.json").read_text())
    assert published["segments"] == [dict(row) for row in place.plans[1].header.flows]
    for path in folder.iterdir():
        text = (
            pd.read_parquet(path).to_csv() if path.suffix == ".parquet" else path.read_text("utf-8")
        )
        assert "canary" not in text, path.name


# ---------------------------------------------------------------------- check and train
def test_check_tells_of_every_model(place: Place) -> None:
    assert place.checked is not None
    told = {f.subject: f.message for f in place.checked.findings if f.level is Level.OK}
    for name in NAMES[1:]:
        assert "version 1" in told[f"models.{name}"]
        assert "best naive rule" in told[f"models.{name}"]
    assert [one["name"] for one in place.checked.to_json()["models"]] == NAMES


def test_a_refit_moves_whom_two_models_disagree_on(place: Place) -> None:
    """The runs before and after the training, of the same data, tell the same."""
    trained = place.trained
    assert trained is not None
    assert {one.name: one.use for one in trained.models} == dict.fromkeys(NAMES, Use.NEW)
    assert all(one.version == 2 for one in trained.models)
    old, new = place.scores(1), place.scores(2)
    for model, column in (
        ("clv", "clv.tier"), ("personas", "personas.name"), ("affinity", "affinity.top_name"),
        ("rfm", "rfm.group"),
    ):  # fmt: skip
        pairs = zip(
            old[column].dropna(), new[column].reindex(old[column].dropna().index), strict=True
        )
        moved = Counter((a, b) for a, b in pairs if a != b)
        told = Counter({(m.before, m.after): m.people for m in trained.moved if m.of == model})
        assert told == moved, model
    assert any(move.of == "clv" for move in trained.moved)
    json.dumps(trained.to_json())


# ---------------------------------------------------------------------- explain
def some(place: Place) -> list[str]:
    return list(place.scores(1).index[::120])


def test_parts_of_a_propensity_add_up_exactly(place: Place) -> None:
    assert place.of is not None
    scores = place.scores(1)
    model = store.loads(_of_version(place.project, "purchase_30d", 1))
    for person in some(place):
        (found,) = place.of(person).models.propensities
        assert found.probability == pytest.approx(
            scores["purchase_30d.probability"][person], abs=1e-12
        )
        assert found.percentile == scores["purchase_30d.percentile"][person]
        assert found.reference == model.reference_probability
        total = sum(driver.part for driver in found.drivers) + found.rest
        assert total == pytest.approx(found.probability - found.reference, abs=1e-12)
        assert found.total == pytest.approx(found.probability - found.reference, abs=1e-12)
        parts = [abs(driver.part) for driver in found.drivers]
        assert parts == sorted(parts, reverse=True)
        for driver in found.drivers:
            assert driver.value == pytest.approx(float(scores[driver.feature][person]))
            assert f"{100 * driver.part:+.1f}"[0] in driver.words.replace("\u2212", "-")


def test_a_lifetime_value_rests_on_the_raw_orders(place: Place) -> None:
    assert place.of is not None
    orders = place.orders().groupby("customer_id")
    scores = place.scores(1)
    last = (place.plans[1].header.as_of - orders.ordered_at.max()) // timedelta(days=1)
    for customer in list(last.index[::150]):
        explanation = place.of(customer)
        (found,) = explanation.models.values
        person = explanation.person.profile_id
        assert found.orders == orders.size()[customer]
        assert found.days_since == last[customer]
        assert found.mean_value == pytest.approx(orders.total.mean()[customer], abs=0.005)
        assert found.expected == scores["clv.expected"][person]
        assert (found.low, found.high) == (
            scores["clv.low_80"][person],
            scores["clv.high_80"][person],
        )
        assert found.tier == scores["clv.tier"][person]


def test_personas_tastes_and_next_products(place: Place) -> None:
    assert place.of is not None
    scores = place.scores(1)
    for person in some(place):
        models = place.of(person).models
        (persona,), (taste,), (ahead,) = models.personas, models.affinities, models.next_products
        assert persona.cluster == scores["personas.cluster"][person]
        assert persona.name == scores["personas.name"][person]
        assert persona.reasons
        if isinstance(scores["affinity.top_id"][person], str):
            assert taste.leanings[0].topic == scores["affinity.top_name"][person]
            assert sum(one.share for one in taste.leanings) == pytest.approx(1, abs=1e-3)
        else:
            assert taste.leanings == ()
            assert "too seldom" in taste.words
        assert list(ahead.items) == scores["next.top5_names"][person].split(" | ")
        assert ahead.reason == scores["next.reason"][person]


def test_margins_and_streaks_are_told(place: Place) -> None:
    """``ready`` asks for 83 to enter, 70 to stay, and two days to leave."""
    assert place.of is not None
    percentile = place.scores(1)["purchase_30d.percentile"]
    members, seen = place.members(1, "ready"), Counter[str]()
    near = percentile[percentile.between(60, 85)].index
    for person in [*near[:12], *sorted(members)[:3]]:
        (view,) = [s for s in place.of(person).segments if s.segment == "ready"]
        steady = view.steadiness
        assert view.member == (person in members)
        if view.member and 70 <= percentile[person] < 80:
            assert steady.state == "margin"
            assert "margin" in steady.words
        elif view.member and percentile[person] < 70:
            assert (steady.state, steady.streak, steady.needed) == ("leaving", 1, 2)
            assert view.to_leave == ()
        elif not view.member and percentile[person] >= 80:
            assert steady.state == "margin"
            assert "margin for entering" in steady.words
        else:
            assert steady.state == "rule"
        if view.member and percentile[person] >= 70:
            assert view.to_leave == (f"purchase_30d.percentile < 70.0 (now {percentile[person]})",)
        if not view.member:
            assert percentile[person] < 83
            wanted = f"purchase_30d.percentile >= 83.0 (now {percentile[person]})"
            assert view.to_enter == (wanted,)
        seen[steady.state if view.member else "out"] += 1
    assert seen["margin"]
    assert seen["rule"]


# ---------------------------------------------------------------------- report
def test_the_report_shows_models_personas_topics_and_values(place: Place) -> None:
    data = place.report
    assert data is not None
    scores = place.scores(1)
    assert [one.name for one in data.models] == NAMES[1:]
    (personas,), (topics,), (value,) = data.personas, data.affinity, data.lifetime
    sizes = scores["personas.cluster"].value_counts()
    assert {one.id: one.people for one in personas.personas} == sizes.to_dict()
    assert all(one.people >= LEAST_DOT for one in personas.dots)
    shown = sum(one.people for one in personas.dots)
    assert 0.75 * sizes.sum() <= shown <= sizes.sum()
    # Most people of a dot's colour are that persona's.
    colours = Counter[int]()
    for dot in personas.dots:
        colours[dot.persona] += dot.people
    assert colours.most_common(1)[0][0] == 0
    leaning = scores["affinity.top_id"].value_counts()
    assert {one.id: one.people for one in topics.topics} == leaning.to_dict()
    assert topics.n_without == scores["affinity.top_id"].isna().sum()
    tiers = scores.groupby("clv.tier")["clv.expected"].agg(["size", "sum"])
    told = [one.name.split(" and ") for one in value.tiers]
    # The best of so few people are under ten, and are told with the next tier.
    assert tiers["size"]["platinum"] < SMALL_CELL
    assert told[0] == ["platinum", "gold"]
    assert sorted(name for names in told for name in names) == sorted(tiers.index)
    for one, names in zip(value.tiers, told, strict=True):
        assert one.people == tiers["size"][names].sum() >= SMALL_CELL
        assert one.expected == pytest.approx(tiers["sum"][names].sum())
    assert value.expected == pytest.approx(scores["clv.expected"].sum())
    assert sum(one.people for one in value.bins) == scores["clv.expected"].notna().sum()
    best = scores["clv.expected"].sort_values(ascending=False)
    tenth = best.head(round(len(best) / 10)).sum() / best.sum()
    assert value.held_by_tenth == pytest.approx(tenth)
    assert sum(one.is_chosen for one in value.trials) == 1


def test_a_tier_that_is_out_of_reach_has_a_figure(place: Place) -> None:
    """Against the stored model's own cut points."""
    assert place.of is not None
    scores = place.scores(1)
    who = scores.index[scores["clv.tier"] == "bronze"][0]
    (one,) = [s for s in place.of(who).segments if s.segment == "valuable"]
    inner = json.loads(_of_version(place.project, "clv", 1))["model"]["model"]
    (figure,) = one.figures
    assert f"gold from {money(inner['cuts'][1], 'EUR')}" in figure
    assert f"now {money(scores['clv.expected'][who], 'EUR')}" in figure


def test_the_best_cut_off_is_the_best_of_all(place: Place) -> None:
    """Against every cut-off reckoned by hand from the stored gain curve."""
    assert place.report is not None
    own, profit = next(m for m in place.report.models if m.name == "purchase_30d").profits
    assert (own.campaign, own.value, own.cost) == ("", 12.0, 1.5)
    orders = place.orders()
    year = orders[orders.ordered_at >= place.plans[1].header.as_of - timedelta(days=365)]
    assert profit.value == pytest.approx(year.total.mean() - 4, abs=0.01)
    assert profit.cost == 0.5
    gains = json.loads(_of_version(place.project, "purchase_30d", 1))["model"]["evaluation"][
        "gains"
    ]
    table = np.array(gains)
    reckoned = 1000 * (table[:, 2] * profit.value - table[:, 1] * 0.5) / table[-1, 1]
    assert profit.best == pytest.approx(max(0.0, reckoned.max()), rel=1e-3)
    assert profit.cutoff == table[reckoned.argmax(), 0]
    assert profit.everybody == pytest.approx(reckoned[-1], rel=1e-3)
    # Whoever is at or above the model's own cut-off is worth a contact.
    scores = place.scores(1)
    worth = scores["purchase_30d.probability"] >= own.cutoff
    assert (scores["purchase_30d.worth_it"].astype(bool) == worth).all()
    assert 0 < worth.sum() < len(worth)


def test_trends_are_the_days_with_runs_and_the_report_of_a_day_is_not_one_more(
    place: Place,
) -> None:
    """Against the published memberships; the report is a second younger than the second run."""
    assert place.report is not None
    for trend in place.report.trends:
        first, now = trend.points
        then, today = (place.members(run, trend.segment) for run in (0, 1))
        assert [first.people, now.people] == [len(then), len(today)]
        assert (now.joins, now.leaves) == (len(today - then), len(then - today))
    assert len(place.report.trends) == 3
    assert any(trend.points[-1].joins for trend in place.report.trends)


def test_segments_tell_who_joined_and_left_since_the_run_before(place: Place) -> None:
    assert place.report is not None
    for row in place.report.segments:
        then, today = (place.members(run, row.name) for run in (0, 1))
        assert row.previous_people == len(then)
        assert (row.joins, row.leaves) == (len(today - then), len(then - today))
        assert row.people - row.previous_people == row.joins - row.leaves
        assert row.volatility == pytest.approx(len(today ^ then) / len(today | then))
        assert row.destinations == (("files",) if row.name == "ready" else ())


def test_migration_has_everybody_who_stayed_and_who_moved(place: Place) -> None:
    """Against the two published tables of scores, joined by pandas."""
    assert place.report is not None
    rfm, personas = place.report.migrations
    then, now = place.scores(0), place.scores(1)
    for summary, column in ((rfm, "rfm.group"), (personas, "personas.cluster")):
        both = pd.DataFrame({"then": then[column], "now": now[column]}).dropna(how="all")
        counted = Counter(zip(both["then"].fillna("~"), both["now"].fillna("~"), strict=True))
        shown = {
            (one.before.replace("~absent", "~"), one.after.replace("~absent", "~")): one.people
            for one in summary.flows
        }
        assert shown == {way: n for way, n in counted.items() if n >= SMALL_CELL}
        assert summary.n_small == sum(n for n in counted.values() if n < SMALL_CELL)
        assert summary.stayed > 0
        assert not summary.is_refitted
    assert [one.model for one in place.report.migrations] == ["rfm", "personas"]


def test_the_page_has_the_sections_and_no_address(place: Place, tmp_path: Path) -> None:
    assert place.report is not None
    page = write_report(place.project, place.report, tmp_path / "r.html").read_text("utf-8")
    for section in ("models", "personas", "affinity", "value", "migration"):
        assert f'<section id="{section}"' in page
    assert "canary" not in page
    assert len(page.encode()) < 3_000_000
    assert ReportData.from_json(json.loads(json.dumps(place.report.to_json()))) == place.report


# ---------------------------------------------------------------------- backtest
def test_the_backtest_of_last_years_spend_reckoned_by_hand(place: Place) -> None:
    (tried,) = backtest_clv(place.project, model="clv")
    assert tried.chosen == "mbg_nbd_gamma_gamma"
    orders = place.orders()
    day = orders.ordered_at.dt.tz_convert("Europe/Berlin").dt.date
    for window in tried.windows:
        assert (window.last_day - window.first_day).days == 89
        known = orders[day < window.first_day]
        year = known[day[known.index] >= window.first_day - timedelta(days=365)]
        after = orders[(day >= window.first_day) & (day <= window.last_day)]
        ahead = np.array([(d - window.first_day).days + 1 for d in day[after.index]])
        people = pd.Index(known.customer_id.unique())
        spent = (after.total / 1.1 ** (ahead / 365)).groupby(after.customer_id).sum()
        actual = spent.reindex(people, fill_value=0)
        predicted = year.groupby("customer_id").total.sum().reindex(people, fill_value=0) * 90 / 365
        (rule,) = [one for one in window.results if one.name == "last_365d_value"]
        assert rule.people == len(people)
        assert rule.predicted == pytest.approx(predicted.sum(), rel=1e-6)
        assert rule.actual == pytest.approx(actual.sum(), rel=2e-3)
        assert rule.mae == pytest.approx((predicted - actual).abs().mean(), rel=2e-3)
        assert rule.correlation == pytest.approx(np.corrcoef(predicted, actual)[0, 1], abs=1e-3)
        assert rule.bias == pytest.approx(rule.predicted / rule.actual - 1)
    json.dumps([tried.to_json()])
    assert tried.demand is not None
    assert tried.demand.wape < tried.demand.wape_last_period
    assert abs(tried.demand.total_error) < 0.25


def test_a_model_that_is_not_there_is_named(place: Place) -> None:
    with pytest.raises(ConfigError, match="clvv"):
        backtest_clv(place.project, model="clvv")
