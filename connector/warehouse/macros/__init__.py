"""The functions of the house dialect, and what each becomes on every engine.

Why a list of our own: engines disagree on exactly what a segment rule needs (the distance of two
days, a quantile, a hash as a number, division by zero), and sqlglot passes functions that it does
not know through in silence. So a call is allowed only when its name stands here or among the few of
:data:`connector.warehouse.grammar.CORE_FUNCTIONS`, and every rendering is a reviewed text:

What Postgres lacks stands there as ``pg_temp.something``: :mod:`connector.warehouse.postgres` makes
it when a session begins.

* :mod:`connector.warehouse.macros.macro` - how a function is written down.
* :mod:`connector.warehouse.macros.text`, :mod:`~connector.warehouse.macros.numbers`,
  :mod:`~connector.warehouse.macros.times`, :mod:`~connector.warehouse.macros.aggregates` - the
  functions.
"""

from __future__ import annotations

from connector.warehouse.macros.aggregates import AGGREGATES
from connector.warehouse.macros.macro import ENGINES, Kind, Macro, Parameter, Word
from connector.warehouse.macros.numbers import NUMBERS
from connector.warehouse.macros.text import CONSTANTS, HASHES, TEXT
from connector.warehouse.macros.times import TIMES

__all__ = [
    "CONSTANTS",
    "ENGINES",
    "MACROS",
    "NAMES",
    "Kind",
    "Macro",
    "Parameter",
    "Word",
    "find",
    "signatures",
]

_ALL = (*TEXT, *HASHES, *NUMBERS, *TIMES, *AGGREGATES)

MACROS: dict[tuple[str, int], Macro] = {(m.name, len(m.parameters)): m for m in _ALL}
"""Every macro by its name and number of arguments."""

NAMES: frozenset[str] = frozenset(m.name for m in _ALL)
"""Every macro's name."""


def find(name: str, n_arguments: int) -> Macro | None:
    """The macro of that name and number of arguments, in any letter case."""
    return MACROS.get((name.lower(), n_arguments))


def signatures(name: str) -> list[str]:
    """How a macro may be called, such as ``round(number, a whole number)``."""
    return [
        f"{macro.name}({', '.join(str(p) for p in macro.parameters)})"
        for (known, _), macro in sorted(MACROS.items())
        if known == name.lower()
    ]
