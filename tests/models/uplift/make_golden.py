"""Writes ``golden.json``: made-up people and the Qini curves that scikit-uplift draws of them.

Not run by the tests. scikit-uplift is no dependency of the project; in an environment of its own::

    python -m venv golden && golden/bin/pip install scikit-uplift==0.5.1
    golden/bin/python tests/models/uplift/make_golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from sklift.metrics import perfect_qini_curve, qini_auc_score, qini_curve

N_PEOPLE = 400


def case(seed: int, *, levels: int, share: float) -> dict[str, object]:
    """One sample with scores on so many levels, and what scikit-uplift makes of it."""
    rng = np.random.default_rng(seed)
    score = rng.integers(0, levels, N_PEOPLE) / levels
    treated = (rng.random(N_PEOPLE) < share).astype(int)
    outcome = (rng.random(N_PEOPLE) < 0.2 + 0.25 * score * treated).astype(int)
    x, y = qini_curve(outcome, score, treated)
    perfect_x, perfect_y = perfect_qini_curve(outcome, treated)
    return {
        "score": score.round(6).tolist(),
        "treated": treated.tolist(),
        "outcome": outcome.tolist(),
        "x": x.tolist(),
        "y": y.tolist(),
        "perfect_x": perfect_x.tolist(),
        "perfect_y": perfect_y.tolist(),
        "normalised": float(qini_auc_score(outcome, score, treated)),
    }


def main() -> None:
    """Draw people, have scikit-uplift judge their scores, write both."""
    cases = {
        "even_arms": case(1, levels=12, share=0.5),
        "small_control": case(2, levels=8, share=0.85),
        "many_scores": case(3, levels=40, share=0.6),
    }
    path = Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(cases) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
