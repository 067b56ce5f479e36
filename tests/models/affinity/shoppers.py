"""Shoppers with planted topics."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

AS_OF = datetime(2026, 3, 2, tzinfo=UTC)


def planted(
    seed: int, *, n_people: int = 800, k: int = 5, n_items: int = 40, n_baskets: int = 6
) -> tuple[pd.DataFrame, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Order lines, the topics (topics x items) and the people's shares (people x topics).

    Drawn as LDA has it: topics and shares from Dirichlet distributions, each line's topic from the
    person's shares, its item from the topic.
    """
    rng = np.random.default_rng(seed)
    phi = rng.dirichlet(np.full(n_items, 0.08), k)
    theta = rng.dirichlet(np.full(k, 0.15), n_people)
    lines_each = rng.poisson(2.5, (n_people, n_baskets)) + 1
    person, basket = (axis.ravel() for axis in np.indices(lines_each.shape))
    owner = np.repeat(person, lines_each.ravel())
    order = np.repeat(basket, lines_each.ravel())
    topic = (theta.cumsum(axis=1)[owner] < rng.random(len(owner))[:, None]).sum(axis=1)
    topic = np.minimum(topic, k - 1)
    item = (phi.cumsum(axis=1)[topic] < rng.random(len(owner))[:, None]).sum(axis=1)
    item = np.minimum(item, n_items - 1)
    lines = pd.DataFrame(
        {
            "profile_id": np.char.add("p", np.char.zfill(owner.astype(str), 6)),
            "basket_id": np.char.add("b", (owner * n_baskets + order).astype(str)),
            "item": np.char.add("item ", np.char.zfill(item.astype(str), 4)),
        }
    )
    return lines, phi, theta
