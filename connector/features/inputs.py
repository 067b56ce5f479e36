"""Which features a model may read.

Denied and describe-only columns are never inputs, nor what reads columns that change in place:
asking for one by name is an error. How a feature becomes numbers is the models' own affair.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from connector.errors import ConfigError


@dataclass(frozen=True, slots=True)
class InputRules:
    """Which columns may be inputs.

    Attributes:
        deny: Never an input: protected attributes and whatever else the configuration names.
        report_only: May describe a segment, may not form it.
        mutable: Read columns that change in place, so that past instants would know the future.
    """

    deny: frozenset[str] = frozenset()
    report_only: frozenset[str] = frozenset()
    mutable: frozenset[str] = frozenset()

    @property
    def shut(self) -> frozenset[str]:
        """Whatever is never an input."""
        return self.deny | self.report_only | self.mutable


def allowed_inputs(
    names: Sequence[str], known: Collection[str], rules: InputRules
) -> tuple[str, ...]:
    """The columns that a model reads.

    Args:
        names: Those that it asks for; none: all that are allowed.
        known: All columns that there are.
        rules: Which of them may be inputs.

    Raises:
        ConfigError: A name is unknown, denied, there to describe only, or reads what changes in
            place. The caller says where it is written.
    """
    if not names:
        return tuple(name for name in known if name not in rules.shut)
    for name in names:
        if name in rules.deny:
            raise ConfigError(
                f"{name} is in features.deny and never an input of a model.",
                hint="Take it out of one of the two lists.",
            )
        if name in rules.report_only:
            raise ConfigError(
                f"{name} may describe a segment, but not form it.",
                hint="Take it out here, or out of features.report_only.",
            )
        if name in rules.mutable:
            raise ConfigError(
                f"{name} reads a column that changes in place, so at past instants it"
                " already knows what came later, and a model would learn from that.",
                hint="Take it out here; or give the column a date of its own (a return as a row)"
                " and take it out of tables.*.mutable.",
            )
        if name not in known:
            near = difflib.get_close_matches(name, list(known), n=1)
            meant = f"Did you mean {near[0]!r}?" if near else "See `liftline check` for all."
            raise ConfigError(f"there is no feature {name!r}.", hint=meant)
    return tuple(dict.fromkeys(names))
