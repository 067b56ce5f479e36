"""What a person must know about a fitted model, and what its scores mean.

One shape for every kind of model, so that plan, report and `liftline check` show all of them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connector.errors import ModelError


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """One column that a model adds to a profile.

    Attributes:
        name: Without the model's name in front, such as ``probability``.
        type: SQL type.
        unit: Such as ``probability``, ``percentile (0-100)``, ``currency``, ``days``.
        meaning: One sentence for people.
        labels: What a text column may hold, when that is known beforehand; segments refer to them.
    """

    name: str
    type: str
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of publishing a model.

    The words are read by people who never saw the configuration: ``found``, then what is needed.

    Attributes:
        name: As in the configuration's ``publish_if``, such as ``auc_at_least``.
        required: What is asked, in words and numbers, such as ``at least 500 people who did it``.
        found: What was measured, in words and numbers, such as ``4,205 people did it``.
        passed: Whether it holds; a model with a gate that does not hold is never published.
    """

    name: str
    required: str
    found: str
    passed: bool


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Where a fitted model comes from and how good it is.

    Attributes:
        name: The model's name in the configuration.
        kind: ``propensity``, ``clv``, ``cluster``, ``lda``, ``association``,
            ``uplift``.
        algorithm: The one that was chosen, such as ``gradient_boosting``.
        as_of: The instant of the newest data that it saw, aware UTC.
        n_people: People it was fitted on.
        data_from: The oldest instant that it looked at; None: all that there was.
        features: Names of its inputs, in order.
        metrics: Measure -> value on data that the fit did not see.
        baselines: Name of a naive rule -> the same measures.
        candidates: Algorithm -> the same measures, for those that were tried.
        gates: Every gate, passed or not.
        notes: What a person should know, in whole sentences.
        rule: Why a simple rule stands in for a model, one of the notes; empty for a model.
        n_rows: Rows of the training table; None where a fit does not tell.
    """

    name: str
    kind: str
    algorithm: str
    as_of: datetime
    n_people: int
    data_from: datetime | None = None
    features: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    candidates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    notes: tuple[str, ...] = ()
    rule: str = ""
    n_rows: int | None = None

    @property
    def is_publishable(self) -> bool:
        """Whether every gate holds."""
        return all(gate.passed for gate in self.gates)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "algorithm": self.algorithm,
            "as_of": self.as_of.isoformat(),
            "n_people": self.n_people,
            "data_from": None if self.data_from is None else self.data_from.isoformat(),
            "features": list(self.features),
            "metrics": dict(self.metrics),
            "baselines": {name: dict(values) for name, values in self.baselines.items()},
            "candidates": {name: dict(values) for name, values in self.candidates.items()},
            "gates": [
                {"name": g.name, "required": g.required, "found": g.found, "passed": g.passed}
                for g in self.gates
            ],
            "notes": list(self.notes),
            "rule": self.rule,
            "n_rows": self.n_rows,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelCard:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            return cls(
                name=str(data["name"]),
                kind=str(data["kind"]),
                algorithm=str(data["algorithm"]),
                as_of=datetime.fromisoformat(data["as_of"]),
                n_people=int(data["n_people"]),
                data_from=(
                    None
                    if data["data_from"] is None
                    else datetime.fromisoformat(str(data["data_from"]))
                ),
                features=tuple(map(str, data["features"])),
                metrics=_numbers(data["metrics"]),
                baselines={str(k): _numbers(v) for k, v in data["baselines"].items()},
                candidates={str(k): _numbers(v) for k, v in data["candidates"].items()},
                gates=tuple(Gate(**gate) for gate in data["gates"]),
                notes=tuple(map(str, data["notes"])),
                rule=str(data.get("rule", "")),
                # Cards of models that were stored before it was told do not have it.
                n_rows=None if data.get("n_rows") is None else int(data["n_rows"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ModelError(
                "The card of a stored model cannot be read.", hint="Fit the model again."
            ) from problem


def _numbers(values: Mapping[str, float]) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items()}
