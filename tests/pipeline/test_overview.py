"""What ``liftline status`` tells, where a destination knows no records."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from connector.pipeline.show.overview import overview
from tests.pipeline.test_refusals import CONFIG, NOW, Shop


def test_nobody_is_unknown_where_nobody_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDOUT_SALT", "a-salt")
    (tmp_path / "liftline.yaml").write_text(CONFIG)
    shop = Shop(tmp_path)
    for i in range(3):
        shop.customers[f"c{i}"] = (f"c{i}@example.com", NOW - timedelta(days=300))
        shop.said.append((f"c{i}@example.com", True, NOW - timedelta(days=300)))
    shop.sync()
    with shop.open() as project:
        found = overview(project)
    assert [(row["destination"], row["people"]) for row in found["lists"]] == [("export", 3)]
    assert [row["unknown_there"] for row in found["records"]] == [0]
    assert found["data_age_days"] == 0
    assert [one["name"] for one in found["models"]] == ["rfm"]
    assert found["freshness"] == []
