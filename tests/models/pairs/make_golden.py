"""Writes ``golden.json``: made-up baskets and the pairs that mlxtend finds in them.

Not run by the tests. mlxtend is no dependency of the project; in an environment of its own::

    python -m venv golden && golden/bin/pip install mlxtend==0.25.0
    golden/bin/python tests/models/pairs/make_golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from mlxtend.frequent_patterns import association_rules, fpgrowth
from mlxtend.preprocessing import TransactionEncoder

N_BASKETS, ITEMS, MIN_SUPPORT = 600, "abcdefghijkl", 12


def main() -> None:
    """Draw baskets, count them with mlxtend, write both."""
    rng = np.random.default_rng(20260302)
    chance = rng.uniform(0.05, 0.4, len(ITEMS))
    baskets = []
    for _ in range(N_BASKETS):
        own = chance * np.where(rng.random(len(ITEMS)) < 0.3, 2.0, 0.7)
        held = [item for item, p in zip(ITEMS, own, strict=True) if rng.random() < p]
        if "b" in held and rng.random() < 0.6:
            held.append("f")
        baskets.append(sorted(set(held)) or ["a"])
    encoder = TransactionEncoder()
    table = pd.DataFrame(encoder.fit_transform(baskets), columns=encoder.columns_)
    sets = fpgrowth(table, MIN_SUPPORT / N_BASKETS, use_colnames=True, max_len=2)
    rules = association_rules(sets, metric="lift", min_threshold=0.0)
    found = [
        {
            "item": next(iter(rule.antecedents)),
            "goes_with": next(iter(rule.consequents)),
            "support": rule.support,
            "confidence": rule.confidence,
            "lift": rule.lift,
        }
        for rule in rules.itertuples()
    ]
    found.sort(key=lambda rule: (rule["item"], rule["goes_with"]))
    golden = {"min_support": MIN_SUPPORT, "baskets": ["".join(b) for b in baskets], "rules": found}
    Path(__file__).with_name("golden.json").write_text(json.dumps(golden, indent=0) + "\n")


if __name__ == "__main__":
    main()
