"""What runs publish of crowds besides scores, and the look at one cluster model.

``outliers.parquet``: who is far from every crowd, and what sets them apart. ``pairs.parquet``:
what is bought together, with counts, lift and interval. Both are under profile ids and items, and
as free of personal data as scores are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from connector.errors import ConfigError, ModelError
from connector.models import store
from connector.warehouse.render import quote

if TYPE_CHECKING:
    import pandas as pd

    from connector.models.clusters import ClusterModel, Part
    from connector.pipeline.project import Project
    from connector.pipeline.understand.act import Understanding

OUTLIERS, PAIRS = "outliers.parquet", "pairs.parquet"


@dataclass(frozen=True, slots=True)
class Personas:
    """One cluster model as ``liftline personas`` shows it.

    Attributes:
        model: The model in use.
        parts: The dendrogram cut where it was asked for; empty otherwise.
    """

    model: ClusterModel
    parts: tuple[Part, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        model = self.model
        return {
            "model": model.name,
            "as_of": model.card.as_of.isoformat(),
            "personas": [
                {"id": key, "name": name, "share": share, "contrasts": list(words)}
                for key, name, share, words in zip(
                    model.ids, model.names, model.shares, model.contrasts, strict=True
                )
            ],
            "compared_on": model.search.day,
            "compared": {name: dict(found) for name, found in model.search.compared.items()},
            "cut": [{**asdict(part), "of": dict(part.of)} for part in self.parts],
        }


def look_at_personas(project: Project, name: str | None, *, k: int | None) -> Personas:
    """The stored cluster model, and its dendrogram cut into ``k``.

    Args:
        project: The project; nothing is computed anew.
        name: Name of the model; None: the only one.
        k: Number of parts; None: no cut.

    Raises:
        ConfigError: There is no such model in the file, or none is named and there are several.
        ModelError: None is in use yet, or it has no dendrogram to cut.
    """
    from connector.models.clusters import cut

    known = [one for one, model in project.config.models.named() if model.type == "cluster"]
    if name is None and len(known) == 1:
        name = known[0]
    if name not in known:
        raise ConfigError(
            f"no model of type cluster is named {name}." if name else "which model is meant?",
            hint=f"Models of type cluster: {', '.join(known) or 'none'}.",
        )
    row = project.journal.model(name)
    if row is None:
        raise ModelError(f"The model {name!r} is not fitted yet.", hint="Run `liftline train`.")
    model: ClusterModel = store.loads(row[1])
    return Personas(model, cut(model, k) if k is not None else ())


def write_crowds(found: Understanding, folder: Path) -> None:
    """Write outliers and pairs of the models in use."""
    _write(_outliers(found), folder / OUTLIERS)
    _write(_pairs(found), folder / PAIRS)


def _write(tables: Sequence[pd.DataFrame], path: Path) -> None:
    """One file of all models; none without any."""
    if tables:
        made = [pa.Table.from_pandas(one, preserve_index=False) for one in tables]
        pq.write_table(
            pa.concat_tables(made, promote_options="permissive"), path, compression="zstd"
        )


def _outliers(found: Understanding) -> list[pd.DataFrame]:
    from connector.pipeline.scoring.reading import feature_frame

    made = []
    for name, settings in found.context.config.models.named():
        model: Any = found.scores.models.get(name)
        if settings.type != "cluster" or model is None:
            continue
        from connector.models.clusters import oddities

        columns = ("cluster", "distance", "is_outlier")
        picks = ", ".join(f"s.{quote(f'{name}.{column}')} AS {column}" for column in columns)
        odd = f"s.{quote(f'{name}.is_outlier')}"
        scored = (
            found.warehouse.connection.sql(
                f"SELECT s.profile_id AS profile_id, {picks} FROM scored AS s WHERE {odd}"
            )
            .to_arrow_table()
            .to_pandas()
            .set_index("profile_id")
            .sort_index()
        )
        frame = feature_frame(
            found.warehouse,
            "scored",
            model.scaler.features,
            found.context.features,
            where=quote(f"{name}.is_outlier"),
        )
        table = oddities(model, frame, scored)
        table.insert(0, "model", name)
        made.append(table)
    return made


def _pairs(found: Understanding) -> list[pd.DataFrame]:
    from connector.pipeline.scoring.lines import names_of

    made = []
    for name, settings in found.context.config.models.named():
        offers: Any = found.scores.models.get(name)
        if settings.type != "association" or offers is None:
            continue
        called = names_of(found.context, settings.level)
        table = offers.model.pairs.rules()
        table.insert(0, "model", name)
        for column in ("item", "goes_with"):
            table[f"{column}_name"] = [called.get(one, one) for one in table[column]]
        made.append(table)
    return made
