"""People with planted clusters."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

AS_OF = datetime(2026, 3, 2, tzinfo=UTC)
FEATURES = ("promo_share_365d", "log_aov", "sessions_90d", "gap_ratio")


def planted(
    seed: int, *, n: int = 900, k: int = 5, gap: float = 2.2, noise: float = 0.6
) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Features of ``n`` people around ``k`` centres, and the centre of each."""
    rng = np.random.default_rng(seed)
    # Corners of a cube: no two centres lie closer than two gaps.
    corners = np.array([[(c >> b & 1) * 2 - 1 for b in range(4)] for c in (0, 15, 3, 5, 9, 6, 10)])
    truth = rng.integers(0, k, n)
    points = corners[truth] * gap + rng.normal(0, noise, (n, 4))
    index = pd.Index([f"p{i:06d}" for i in range(n)], name="profile_id")
    return pd.DataFrame(points, columns=list(FEATURES), index=index), truth
