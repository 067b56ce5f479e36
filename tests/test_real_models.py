"""Every model on real orders: what the README's table of results says is what comes out."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from connector.pipeline.project import Project
from connector.pipeline.scoring.run import REFUSED, Scores

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("LIFTLINE_SHARED", ROOT.parent / "shared")) / "data"
ROW = re.compile(r"^\| (\w+(?: \w+)*) \| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
CLOSE = 0.02
"""How far a figure may be off the README's: libraries' minors move the third digit."""


def results(heading: str) -> list[tuple[str, str, float, dict[str, float]]]:
    """Model, measure, ours and the naive rules' of one data set, from the README."""
    found = []
    for data, model, measure, ours, naive in ROW.findall((ROOT / "README.md").read_text("utf-8")):
        if data == heading:
            rivals = re.findall(r"(\w+) (-?[\d.,]+)", naive)
            found.append(
                (model, measure.strip(), _number(ours), {n: _number(v) for n, v in rivals})
            )
    return found


def _number(text: str) -> float:
    return float(re.search(r"-?[\d.,]+", text)[0].replace(",", ""))  # type: ignore[index]


def scored(folder: Path, example: str, variable: str, data: Path) -> Scores:
    """The scores of an example, computed in a folder of its own."""
    if not data.exists():
        pytest.skip(
            f"the shared data set {data.name} is not here; LIFTLINE_SHARED names its folder"
        )
    path = folder / "liftline.yaml"
    shutil.copy(ROOT / "examples" / example, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, str(data))
        patch.setenv("HOLDOUT_SALT", "a-salt-that-is-long-enough")
        # Ids order people, and near ties between algorithms turn on that order.
        opened = Project.open(path, identity_key="the same ids in every run")
        with opened as project, project.workspace() as warehouse:
            return project.understand(warehouse).scores


def card_of(scores: Scores, model: str) -> dict[str, Any]:
    """The card of the model in use, or of the attempt that was not published."""
    if model in scores.cards:
        return scores.cards[model].to_dict()
    card: dict[str, Any] = json.loads(scores.fresh[model + REFUSED])["card"]
    return card


def agrees(scores: Scores, heading: str) -> None:
    """Every figure of the README's table is what was computed."""
    rows = results(heading)
    assert len(rows) >= 4
    for model, measure, ours, rivals in rows:
        card = card_of(scores, model)
        assert card["metrics"][measure] == pytest.approx(ours, rel=CLOSE), (model, measure)
        for rival, value in rivals.items():
            found = card["baselines"][rival][measure]
            assert found == pytest.approx(value, rel=CLOSE), (model, rival)


@pytest.mark.timeout(900)
def test_online_retail(tmp_path: Path) -> None:
    data = SHARED / "online_retail" / "online_retail_2010_2011.parquet"
    scores = scored(tmp_path, "online_retail/models.yaml", "ONLINE_RETAIL", data)
    agrees(scores, "Online Retail")
    # Whoever bought most last year goes on doing so: no model of ours beats that there.
    assert set(scores.cards) == {"affinity", "pairs", "personas", "purchase_30d", "churn_60d"}
    (refusal,) = [f for f in scores.findings if f.subject == "models.clv_90d"]
    assert "does not beat last year's spend" in refusal.message


@pytest.mark.timeout(900)
def test_complete_journey(tmp_path: Path) -> None:
    data = SHARED / "complete_journey_third"
    scores = scored(tmp_path, "complete_journey/liftline.yaml", "COMPLETE_JOURNEY", data)
    agrees(scores, "Complete Journey")
    assert set(scores.cards) == {
        *("affinity", "pairs", "personas", "clv_90d", "purchase_14d", "churn_30d")
    }
