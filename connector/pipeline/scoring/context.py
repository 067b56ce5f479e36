"""What fitting and scoring may read: relations of the run, and the same as of earlier instants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from connector.config import Config
from connector.errors import ConfigError
from connector.features.build import FeatureMeta
from connector.features.inputs import InputRules, allowed_inputs
from connector.models.inputs import MissingRule
from connector.models.inputs.values import Form
from connector.models.rfm import RfmModel
from connector.pipeline.scoring.past_arms import PastArms, nobody
from connector.pipeline.scoring.reading import feature_frame, input_form
from connector.ports import Warehouse
from connector.warehouse.dialect import ExpressionError, parse_condition
from connector.warehouse.render import literal

if TYPE_CHECKING:
    import pandas as pd


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
        registries: Registries of labels that are not written yet, by path: those of the run whose
            models are used to look back.
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
    registries: Mapping[Path, str] = field(default_factory=dict)
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
        """Features that a model reads: those it names, or every one that is allowed.

        Raises:
            ConfigError: A name is unknown, denied or a time; the line is named.
        """
        return self._allowed(names, path, tuple(Form))

    def model_rules(self, names: Sequence[str], path: str) -> tuple[str, ...]:
        """Features that order people, as naive rules: the numbers among those named.

        Raises:
            ConfigError: A name is unknown, denied or no number; the line is named.
        """
        return self._allowed(names, path, (Form.NUMBER,))

    def _allowed(self, names: Sequence[str], path: str, forms: Sequence[Form]) -> tuple[str, ...]:
        kinds = self.warehouse.columns("features")
        found = {
            name: input_form(self.features[name], kind)
            for name, kind in kinds.items()
            if name in self.features
        }
        known = [name for name, form in found.items() if form in forms]
        for name in names:
            if name in found and name not in known and name not in self.rules.shut:
                wanted = "number" if Form.WORD not in forms else "number, text or embedding"
                raise self.config.config_error(
                    path,
                    f"{name} is no {wanted} ({kinds[name]}).",
                    "Of a time, give the days since it.",
                )
        try:
            return allowed_inputs(names, known, self.rules)
        except ConfigError as problem:
            raise self.config.config_error(path, problem.message, problem.hint) from problem

    @property
    def missing(self) -> MissingRule:
        """What stands for unknown inputs, as the file says."""
        given = self.config.quality.missing
        return MissingRule(
            flags=given.numeric == "median_plus_flag",
            word=given.categorical,
            drop_above=float(given.drop_feature_above),
        )

    def frame(
        self, columns: Sequence[str], *, relation: str = "features", where: str = ""
    ) -> pd.DataFrame:
        """Features of a relation, one row a profile; as of :func:`feature_frame`.

        Args:
            columns: Their names.
            relation: Has a ``profile_id``.
            where: Condition of the house dialect, checked before.
        """
        return feature_frame(self.warehouse, relation, columns, self.features, where=where)


def load_frame(warehouse: Warehouse, name: str, frame: pd.DataFrame) -> None:
    """Make a frame with index ``profile_id`` a relation."""
    import pyarrow as pa

    warehouse.load(name, pa.Table.from_pandas(frame.rename_axis("profile_id").reset_index()))
