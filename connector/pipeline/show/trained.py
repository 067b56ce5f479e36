"""What a training did: how good every model is, which are used, and whom they move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connector.models.rfm import Migration
from connector.pipeline.scoring.grid import RFM
from connector.pipeline.show.movement import Move
from connector.pipeline.show.standing import Standing


@dataclass(frozen=True, slots=True)
class Trained:
    """What ``liftline train`` did.

    Attributes:
        models: Every model with its card, and whether the new fit is used.
        migration: People whose RFM group the new cut points move.
        moves: People whom other new models move, to another cluster, topic or tier.
    """

    models: tuple[Standing, ...]
    migration: tuple[Migration, ...]
    moves: tuple[Move, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "models": [one.to_json() for one in self.models],
            "moved": [move.to_json() for move in self.moved],
        }

    @property
    def moved(self) -> tuple[Move, ...]:
        """Whom the training moves, RFM groups included."""
        rfm = (Move(RFM, m.before, m.after, m.n_people) for m in self.migration)
        return (*rfm, *self.moves)
