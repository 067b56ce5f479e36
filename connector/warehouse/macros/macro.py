"""What one function of the house dialect is: its parameters, and its text on every engine.

A template is SQL of the engine under whose name it stands; ``any`` is DuckDB's SQL, which sqlglot
carries over to engines without a template of their own. ``_1``, ``_2`` stand for the arguments.
They are replaced in the parsed tree, never in text. ``None`` says that the engine has no exact
equivalent: rendering refuses instead of approximating.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

ENGINES = ("duckdb", "postgres", "spark", "bigquery", "snowflake")
"""The engines that house SQL is rendered for, by sqlglot's names."""


class Kind(enum.StrEnum):
    """What a value is, as far as a rule must know."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "true or false"
    TIME = "a time or date"
    ANY = "anything"


class Word(enum.StrEnum):
    """A parameter that must be written out as a literal, and what it holds."""

    COUNT = "a whole number"
    SHARE = "a number from 0 to 1"
    ZONE = "the name of a time zone, such as 'Europe/Berlin'"
    KEY = "a key of letters, digits and underscores in quotes"
    PATTERN = "a regular expression in quotes"
    FORMAT = "a time format in quotes, such as '%d.%m.%Y'"


Parameter = Kind | Word


@dataclass(frozen=True, slots=True)
class Macro:
    """One function of the house dialect.

    Attributes:
        name: As it is written.
        parameters: What each argument must be.
        returns: What comes out; ANY: the same as the first argument.
        meaning: One line for messages and the manual.
        sql: Engine (or ``any``) -> template.
        aggregate: Whether it turns many rows into one value.
    """

    name: str
    parameters: tuple[Parameter, ...]
    returns: Kind
    meaning: str
    sql: Mapping[str, str | None] = field(repr=False)
    aggregate: bool = False


def everywhere(template: str) -> dict[str, str | None]:
    """One template of DuckDB's for every engine, carried over by sqlglot."""
    return {"any": template}
