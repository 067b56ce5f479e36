"""Who gets a limited budget: the people worth most, across segments.

The worth of treating a person is probability x value - cost. Ranked by worth, a budget goes to the
people who bring most each; ranked by return (worth over cost) it goes where each unit of money
brings most, which is better where costs differ much. Somebody in several segments is treated once,
where the rank is best; nobody is treated at a loss. Who does not fit in what is left is passed
over, and the next one is tried.

A probability says who will respond, not who responds *because of* the treatment. Where an uplift
model has passed its gates, pass its difference in probability in place of it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import pandas as pd

from connector.errors import ModelError

UNITS = 1_000_000
"""Amounts are added up in millionths, so that no order of a sum moves the last person."""

COLUMNS = ("profile_id", "segment", "probability", "value", "cost")


class RankBy(enum.StrEnum):
    """What a budget follows."""

    WORTH = "worth"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who is treated.

    Attributes:
        chosen: ``profile_id``, ``segment``, ``cost`` and ``worth`` of those treated, best first.
        spent: Currency.
        worth: Expected profit of it, currency.
        n_left_out: People who are worth treating and whom the budget does not reach.
    """

    chosen: pd.DataFrame
    spent: float
    worth: float
    n_left_out: int


def allocate(
    budget: float, candidates: pd.DataFrame, *, rank_by: RankBy = RankBy.WORTH
) -> Allocation:
    """Spend a budget on the best candidates.

    Args:
        budget: Currency, not negative.
        candidates: One row for a person and segment: ``profile_id``, ``segment``, ``probability``
            (0 to 1), ``value`` of a response and ``cost`` of a treatment (currency, not negative).
        rank_by: What the ranking follows; ties go by profile id, then segment.

    Raises:
        ModelError: A column is missing, or holds what it cannot.
    """
    missing = [name for name in COLUMNS if name not in candidates.columns]
    if missing:
        raise ModelError(f"Candidates lack {', '.join(missing)}.")
    numbers = candidates[["probability", "value", "cost"]].to_numpy(dtype=np.float64)
    probability, value, cost = numbers.T
    if not (np.isfinite(numbers).all() and (numbers >= 0).all() and (probability <= 1).all()):
        raise ModelError("Probability, value and cost must be known, 0 or more, probability <= 1.")
    if not budget >= 0:
        raise ModelError(f"A budget must be 0 or more, not {budget}.")
    worth = probability * value - cost
    if rank_by is RankBy.WORTH:
        rank = worth
    else:
        rank = np.divide(worth, cost, out=np.full(worth.size, np.inf), where=cost > 0)
    ranked = pd.DataFrame(
        {
            "profile_id": candidates["profile_id"].to_numpy(),
            "segment": candidates["segment"].to_numpy(),
            "cost": cost,
            "worth": worth,
            # Rounded, so that equals are equal whichever way they were computed.
            "rank": np.round(rank, 9),
        }
    )
    ranked = ranked[ranked["worth"] > 0].sort_values(
        ["rank", "profile_id", "segment"], ascending=[False, True, True], kind="stable"
    )
    ranked = ranked.drop_duplicates("profile_id").reset_index(drop=True)
    left = round(budget * UNITS)
    treated = np.zeros(len(ranked), dtype=np.bool_)
    for i, price in enumerate(np.rint(ranked["cost"].to_numpy() * UNITS).astype(np.int64).tolist()):
        if price <= left:
            treated[i] = True
            left -= price
    chosen = ranked.loc[treated, ["profile_id", "segment", "cost", "worth"]]
    return Allocation(
        chosen=chosen.reset_index(drop=True),
        spent=(round(budget * UNITS) - left) / UNITS,
        worth=float(chosen["worth"].sum()),
        n_left_out=int((~treated).sum()),
    )
