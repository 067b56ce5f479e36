"""One random stream for each purpose: changing one part of the shop leaves the others alone."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, at_s: int = 0) -> np.random.Generator:
    """The generator of one purpose of one shop, and of one instant where the purpose comes back.

    Args:
        seed: The shop's seed, not negative.
        purpose: What is drawn, such as ``"orders"``.
        at_s: Seconds since 1970 of the instant from which on it is drawn.
    """
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), at_s])
