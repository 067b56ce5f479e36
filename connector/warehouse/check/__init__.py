"""The check of a parsed expression: every node, function, cast and column name must be on a list.

What is not named here is refused, so a construct that a new sqlglot learns to parse stays out until
somebody lists it. The checker returns a tree of its own: columns carry the relation's exact name in
quotes, times are compared with times.
"""

from __future__ import annotations

from connector.warehouse.check.checker import Checker

__all__ = ["Checker"]
