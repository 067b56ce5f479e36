"""A look back by today's models: also before anything of them has been stored or written."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.pipeline import modelled_shop
from tests.pipeline.modelled_shop import AS_OF


def test_models_that_nobody_has_stored_yet_can_look_back(tmp_path: Path) -> None:
    """`check` and `holdout power` of a new project: the registry of labels is no file yet."""
    modelled_shop.build(tmp_path, n=400)
    clock = modelled_shop.Clock()
    with (
        modelled_shop.open_project(tmp_path, clock) as project,
        project.workspace() as now,
        project.workspace() as then,
    ):
        found = project.understand(now)
        assert found.scores.files
        assert not any(path.exists() for path in found.scores.files)
        earlier = project.understand(then, as_of=AS_OF - timedelta(days=30), looking_back=found)
        labels = {
            label
            for (label,) in earlier.warehouse.rows(
                'SELECT DISTINCT s."personas.cluster" AS label FROM scored AS s'
                ' WHERE s."personas.cluster" IS NOT NULL'
            )
        }
    known = set(found.scores.domains["personas.cluster"])
    assert labels
    assert labels <= known
