"""``python -m bench [NAME ...]``: run the benches, print one table, fail when a bar is missed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from bench import (
    affinity,
    clusters,
    clv,
    diff,
    features,
    moments,
    no_change,
    poison,
    push_rate,
    reasons,
    start_up,
)
from bench.measure import Measure

BENCHES: dict[str, Callable[[], list[Measure]]] = {
    "start_up": start_up.run,
    "poison": poison.run,
    "no_change": no_change.run,
    "diff": diff.run,
    "push_rate": push_rate.run,
    "features": features.run,
    "moments": moments.run,
    "clusters": clusters.run,
    "affinity": affinity.run,
    "clv": clv.run,
    "reasons": reasons.run,
}
HEAD = ("what", "measured", "floor in the same run", "ratio", "bar", "ok")


def main(names: Sequence[str]) -> int:
    """Run the benches of these names, or all; returns the exit code."""
    unknown = set(names) - set(BENCHES)
    if unknown:
        print(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
        return 2
    measures = []
    for name in names or BENCHES:
        print(f"running {name} ...", file=sys.stderr, flush=True)
        measures += BENCHES[name]()
    print(table(measures))
    return 0 if all(one.ok for one in measures) else 1


def table(measures: Sequence[Measure]) -> str:
    """The measures in aligned columns."""
    rows = [HEAD, *(_cells(one) for one in measures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _cells(one: Measure) -> tuple[str, ...]:
    verdict = ("yes" if one.ok else "NO") if one.bar else ""
    return one.name, one.measured, one.floor, one.ratio, one.bar, verdict


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
