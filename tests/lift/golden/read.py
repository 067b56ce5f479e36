"""The golden files as moments."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from connector.lift.joint import JointMoments
from connector.lift.moments import ArmMoments


@functools.cache
def golden(name: str) -> dict[str, Any]:
    """A golden file."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))


def arm(moments: dict[str, float], column: str) -> ArmMoments:
    """One column's moments; the other libraries know no third one."""
    n, mean = int(moments["n"]), moments[f"mean_{column}"]
    return ArmMoments(n, mean, moments[f"var_{column}"], 0.0, n, n * mean)


def joint(moments: dict[str, float], y: str, x: str) -> JointMoments:
    """Two columns' moments."""
    return JointMoments(arm(moments, y), arm(moments, x), moments[f"cov_{y}_{x}"], 0.0, 0.0)
