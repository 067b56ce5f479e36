"""What fitting and scoring may read: relations of the run, and the same as of earlier instants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from connector.config import Config
from connector.errors import ConfigError
from connector.features.build import FeatureMeta
from connector.features.inputs import InputRules, allowed_inputs
from connector.models.rfm import RfmModel
from connector.pipeline.scoring.past_arms import PastArms, nobody
from connector.ports import Warehouse
from connector.warehouse.dialect import ExpressionError, parse_condition
from connector.warehouse.render import literal, quote

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("BIGINT", "INTEGER", "SMALLINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL", "BOOLEAN")
"""Types that a model can take as they are."""


def seed_of(model: str) -> int:
    """Seed of a model's randomness: made from its name, so that it is the same everywhere."""
    return int.from_bytes(hashlib.sha256(model.encode()).digest()[:8], "big")


@dataclass(frozen=True, slots=True)
class ScoringContext:
    """The data of one run, for models.

    Attributes:
        config: The configuration.
        warehouse: Holds ``features`` and the cleaned tables.
        as_of: The instant of ``features``.
        features: Name -> what it means.
        features_at: Builds the features as of an earlier instant; returns the relation's name.
        rules: Which features may be inputs of a model.
        rfm: Today's cut points.
        documents: Models in use so far, as they are stored: one may read another.
        past_arms: Campaign -> who was in which of its arms.
        accepted: Models whose new labels are used however many people change theirs.
        progress: Told what goes on.
    """

    config: Config
    warehouse: Warehouse
    as_of: datetime
    features: Mapping[str, FeatureMeta]
    features_at: Callable[[datetime], str]
    rules: InputRules
    rfm: RfmModel
    documents: dict[str, str] = field(default_factory=dict)
    past_arms: Callable[[str], PastArms] = nobody
    accepted: Collection[str] = ()
    progress: Callable[[str], None] = lambda _what: None

    def rng(self, model: str) -> np.random.Generator:
        """Randomness of a model: of its own, and the same in every run."""
        return np.random.default_rng(seed_of(model))

    def held(self, model: str) -> pd.Series:
        """Label that each person had of a model at the last applied run, under ``profile_id``."""
        rows = self.warehouse.rows(
            "SELECT k.profile_id AS profile_id, min(k.label) AS label FROM known_labels AS k"
            f" WHERE k.model = {literal(model)} GROUP BY k.profile_id"
        )
        import pandas as pd

        labels = {str(profile): str(label) for profile, label in rows}
        return pd.Series(labels, dtype="str").rename_axis("profile_id")

    def condition(self, text: str | None, path: str) -> str:
        """A condition of the file over features, as SQL of the house dialect; empty for none.

        Raises:
            ConfigError: It is no condition over features; the line is named.
        """
        if text is None:
            return ""
        try:
            columns = self.warehouse.columns("features")
            return parse_condition(text, columns=columns, what=path).sql()
        except ExpressionError as problem:
            raise self.config.config_error(path, problem.message, problem.hint) from problem

    def model_inputs(self, names: Sequence[str], path: str) -> tuple[str, ...]:
        """Features that a model reads: those it names, or every number that is allowed.

        Raises:
            ConfigError: A name is unknown, denied or no number; the line is named.
        """
        kinds = self.warehouse.columns("features")
        numbers = [
            name
            for name, kind in kinds.items()
            if name in self.features and kind.upper().startswith(NUMBERS)
        ]
        try:
            chosen = allowed_inputs(names, numbers, self.rules, what=path)
        except ConfigError as problem:
            raise self.config.config_error(path, problem.message, problem.hint) from problem
        return chosen

    def frame(
        self, columns: Sequence[str], *, relation: str = "features", where: str = ""
    ) -> pd.DataFrame:
        """Columns of a relation as numbers, one row a profile.

        Args:
            columns: Their names.
            relation: Has a ``profile_id``.
            where: Condition of the house dialect, checked before.

        Returns:
            Index ``profile_id``, ascending; columns as float64, NaN where unknown.
        """
        return number_frame(self.warehouse, relation, columns, where=where)


def number_frame(
    warehouse: Warehouse, relation: str, columns: Sequence[str], *, where: str = ""
) -> pd.DataFrame:
    """Columns of a relation as float64 under ``profile_id``, in the order of the ids."""
    import pyarrow as pa

    picks = ", ".join(f"CAST({quote(c)} AS DOUBLE) AS {quote(c)}" for c in columns)
    condition = f" WHERE {where}" if where else ""
    sql = f"SELECT profile_id{', ' if picks else ''}{picks} FROM {quote(relation)}{condition}"
    table = pa.Table.from_batches(list(batches := warehouse.batches(sql)), batches.schema)
    frame: pd.DataFrame = table.to_pandas().set_index("profile_id").sort_index()
    return frame.astype("float64")


def load_frame(warehouse: Warehouse, name: str, frame: pd.DataFrame) -> None:
    """Make a frame with index ``profile_id`` a relation."""
    import pyarrow as pa

    warehouse.load(name, pa.Table.from_pandas(frame.rename_axis("profile_id").reset_index()))
