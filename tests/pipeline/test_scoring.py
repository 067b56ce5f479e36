"""Which model is used: the stored one, a new one that passes its gates, or none."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connector.config import Config, parse_config
from connector.domain import Level
from connector.errors import ConfigError, InsufficientDataError
from connector.features.inputs import InputRules
from connector.models import store
from connector.models.card import Gate, ModelCard, ScoreColumn
from connector.models.groups import DEFAULT_GROUPS
from connector.models.rfm import RfmSpec, fit
from connector.pipeline.scoring import run
from connector.pipeline.scoring.context import ScoringContext
from connector.pipeline.scoring.kinds import Fitted, Kind
from connector.pipeline.scoring.run import Scores, score_models
from connector.state.database import State
from connector.state.journal import Journal
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.config.shop import ENVIRON, MINIMAL

START = datetime(2026, 3, 2, 5, tzinfo=UTC)
MODEL = """\
models:
  churn:
    type: propensity
    predict: {event: orders, none_within: 90d}
    predict_window: 90d
"""
PERSON = "somebody@mail.example"
COLUMN = ScoreColumn("probability", "DOUBLE", "probability", "of something")


@dataclass(frozen=True)
class Constant:
    """A model that says one number of everybody."""

    value: float
    card: ModelCard
    kind: str = "constant"
    columns: tuple[ScoreColumn, ...] = (COLUMN,)

    @property
    def version(self) -> str:
        return str(self.value)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "value": self.value, "card": self.card.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Constant:
        return cls(data["value"], ModelCard.from_dict(data["card"]))


@dataclass
class Fits:
    """A kind of model whose fits the test decides."""

    answers: list[float | str] = field(default_factory=list)
    n: int = 0

    def fit(self, context: ScoringContext, name: str, _settings: Any, _before: Any) -> Fitted:
        self.n += 1
        answer = self.answers.pop(0)
        if answer == "too little":
            raise InsufficientDataError("12 people did it.", hint="Wait.")
        if answer == "broken":
            raise ValueError(f"{PERSON} is no number")
        if answer == "misnamed":
            raise ConfigError("There is no such feature.")
        gate = Gate("auc_at_least", "0.65", "0.61", passed=answer != "bad")
        card = ModelCard(name, "propensity", "constant", context.as_of, 3, gates=(gate,))
        if answer == "rule":
            why = "A rule stands in."
            return Fitted(Constant(0.1, dataclasses.replace(card, notes=(why,), rule=why)))
        return Fitted(Constant(0.0 if answer == "bad" else float(answer), card))

    @staticmethod
    def score(context: ScoringContext, name: str, _s: Any, model: Constant, output: str) -> None:
        context.warehouse.create_table_as(
            output, f'SELECT profile_id, {model.value} AS "{name}.probability" FROM features'
        )


@dataclass
class Nights:
    """Runs of one project, one after the other."""

    state: State
    warehouse: DuckDBWarehouse
    fits: Fits
    now: datetime = START

    def run(self, models: str = MODEL, *, days: int = 1, retrain: bool = False) -> Scores:
        self.now += timedelta(days=days)
        context = ScoringContext(
            config=_config(models),
            warehouse=self.warehouse,
            as_of=self.now,
            features={},
            features_at=lambda _instant: "features",
            rules=InputRules(),
            rfm=fit(self.warehouse, RfmSpec(groups=DEFAULT_GROUPS), as_of=self.now),
        )
        scores = score_models(context, Journal(self.state), retrain=retrain)
        for name, document in scores.fresh.items():
            Journal(self.state).store_model(name, document, as_of=self.now, now=self.now)
        return scores

    @property
    def said(self) -> float | None:
        ((value,),) = self.warehouse.rows(
            'SELECT min(s."churn.probability") AS p FROM churn_scores AS s'
        )
        return None if value is None else float(value)


def _config(models: str) -> Config:
    return parse_config(MINIMAL + models, ENVIRON)


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    fits = Fits()
    kind = Kind(fit=fits.fit, score=Fits.score, columns=lambda _settings: (COLUMN,))
    monkeypatch.setattr(run, "kind_of", lambda _settings: kind)
    monkeypatch.setitem(store._CLASSES, "constant", (__name__, "Constant"))
    state = State.open(tmp_path)
    with DuckDBWarehouse() as warehouse:
        warehouse.load(
            "features",
            pa.table(
                {
                    "profile_id": ["a", "b"],
                    "recency_days": [3, 40],
                    "frequency": [2, 1],
                    "monetary": [20.0, 10.0],
                    "lifetime_orders": [2, 1],
                }
            ),
        )
        yield Nights(state, warehouse, fits)
    state.close()


def test_a_model_is_fitted_once_and_used_every_night(nights: Nights) -> None:
    nights.fits.answers = [0.3]
    assert nights.run().versions == {"churn": None}
    assert nights.run().versions == {"churn": 1}
    assert (nights.said, nights.fits.n) == (0.3, 1)


def test_training_and_other_settings_fit_anew(nights: Nights) -> None:
    nights.fits.answers = [0.3, 0.4, 0.5]
    nights.run()
    nights.run(retrain=True)
    assert nights.said == 0.4
    nights.run(MODEL + "    algorithms: [logistic]\n")
    assert nights.said == 0.5
    nights.run(MODEL + "    algorithms: [logistic]\n")
    assert nights.fits.n == 3


def test_an_age_fits_anew(nights: Nights) -> None:
    nights.fits.answers = [0.3, 0.4]
    aged = MODEL + "    refit: 30d\n"
    nights.run(aged)
    nights.run(aged, days=29)
    assert nights.said == 0.3
    nights.run(aged, days=1)
    assert nights.said == 0.4


def test_a_failed_gate_leaves_the_old_model_in_place_and_says_why(nights: Nights) -> None:
    nights.fits.answers = [0.3, "bad"]
    nights.run()
    scores = nights.run(retrain=True)
    assert nights.said == 0.3
    assert scores.versions == {"churn": 1}
    (finding,) = scores.findings
    assert finding.level is Level.WARNING
    assert "Tells people apart: 0.61; needed: 0.65" in finding.message
    assert "The model before stays in use." in finding.message


def test_without_any_model_columns_hold_nothing_and_it_rests_a_week(nights: Nights) -> None:
    nights.fits.answers = ["bad", 0.4]
    nights.run()
    assert nights.said is None
    for _ in range(6):
        scores = nights.run()
        assert "No model is published" in scores.findings[0].message
    assert nights.fits.n == 1
    nights.run()
    assert nights.fits.n == 2
    assert nights.said == 0.4


def test_a_refused_refit_is_not_tried_every_night(nights: Nights) -> None:
    nights.fits.answers = [0.3, "bad", "bad", 0.5]
    changed = MODEL + "    algorithms: [logistic]\n"
    nights.run()
    nights.run(changed)
    for _ in range(5):
        nights.run(changed)
    assert (nights.said, nights.fits.n) == (0.3, 2)


def test_too_little_data_is_told_with_what_to_do(nights: Nights) -> None:
    nights.fits.answers = ["too little"]
    (finding,) = nights.run().findings
    assert finding.message == "12 people did it. Its columns hold nothing meanwhile."
    assert finding.hint == "Wait."


def test_a_damaged_model_is_fitted_again(nights: Nights) -> None:
    nights.fits.answers = [0.3, 0.6]
    nights.run()
    document = store.dumps(
        dataclasses.replace(Constant(0.3, ModelCard("c", "p", "x", START, 1)), value=0.9)
    ).replace('"value": 0.9', '"value": 0.1')
    Journal(nights.state).store_model("churn", document, as_of=nights.now, now=nights.now)
    scores = nights.run()
    assert nights.said == 0.6
    assert "changed after it was written" in scores.findings[0].message


def test_a_fit_that_breaks_leaves_the_model_before_and_is_logged_without_data(
    nights: Nights, caplog: pytest.LogCaptureFixture
) -> None:
    nights.fits.answers = [0.3, "broken"]
    nights.run()
    with caplog.at_level(logging.INFO):
        scores = nights.run(retrain=True)
    (told,) = scores.findings
    assert told.level is Level.WARNING
    assert "The fit failed (ValueError in test_scoring.py, line" in told.message
    assert "The model before stays in use." in told.message
    assert nights.said == 0.3
    assert "in fit" in caplog.text
    assert "ValueError" in caplog.text
    for text in (told.message, caplog.text):
        assert "somebody@" not in text


def test_a_first_fit_that_breaks_lets_the_others_go_on(nights: Nights) -> None:
    nights.fits.answers = ["broken", 0.4]
    two = MODEL + MODEL.replace("models:\n", "").replace("churn:", "other:")
    scores = nights.run(two)
    assert set(scores.models) == {"other"}
    assert nights.said is None
    assert [one.subject for one in scores.findings] == ["models.churn"]


def test_a_mistake_in_the_file_still_stops_the_run(nights: Nights) -> None:
    nights.fits.answers = ["misnamed"]
    with pytest.raises(ConfigError, match="no such feature"):
        nights.run()


def test_where_nobody_can_be_scored_the_run_is_held(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.fits.answers = [0.3]
    nights.run()

    def nothing(*_given: object) -> None:
        raise InsufficientDataError("There are no orders.")

    kind = Kind(fit=nights.fits.fit, score=nothing, columns=lambda _settings: (COLUMN,))
    monkeypatch.setattr(run, "kind_of", lambda _settings: kind)
    scores = nights.run()
    (told,) = scores.findings
    assert (told.level, told.subject) == (Level.ERROR, "models.churn")
    assert "Nobody can be scored: There are no orders." in told.message
    assert nights.said is None


def test_a_rule_gives_way_after_a_week_and_a_model_stays(nights: Nights) -> None:
    nights.fits.answers = ["rule", 0.4]
    (told,) = nights.run().findings
    assert (told.level, told.message) == (Level.WARNING, "A rule stands in.")
    nights.run(days=6)
    assert nights.fits.n == 1
    nights.run(days=1)
    assert (nights.said, nights.fits.n) == (0.4, 2)
    nights.run(days=30)
    assert nights.fits.n == 2
