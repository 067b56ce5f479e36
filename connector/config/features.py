"""The block ``features``: what is computed of people, and what of it a model may read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, StrictFloat, StrictInt
from pydantic_core import PydanticCustomError

from connector.config.values import (
    Days,
    Expression,
    Name,
    Names,
    Section,
    Text,
    Texts,
    refuse,
    whole_days,
)
from connector.features.catalogue import PACKS
from connector.tables import EVENT_MEANINGS

DENIED = ("gender", "sex", "ethnicity", "religion", "health", "income", "occupation")
"""What no model reads unless a file says otherwise."""

_YEARS = re.compile(r"(\d{1,2})\s*y")


def _history(value: object) -> timedelta:
    match = _YEARS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None and int(match[1]):
        return timedelta(days=365 * int(match[1]))
    try:
        return whole_days(value)
    except PydanticCustomError:
        raise refuse("a length of time in years, weeks or days, such as 3y or 730d") from None


def _one_of(words: Mapping[str, object], what: str) -> BeforeValidator:
    """A validator of names that must be among some."""

    def validate(value: object) -> object:
        if value not in words:
            raise refuse(f"{what}: {', '.join(words)}", words=tuple(words))
        return value

    return BeforeValidator(validate)


Pack = Annotated[str, _one_of(PACKS, "a pack")]
"""The name of a pack of features."""
Meaning = Annotated[str, _one_of(EVENT_MEANINGS, "a meaning")]
"""What an event can mean."""
CategoryLevel = Annotated[
    str, _one_of(dict.fromkeys(("category", "subcategory")), "a column of products")
]
"""The column of products that is meant by a category."""


class CustomFeature(Section):
    """One feature of the user's own.

    Attributes:
        name: Its name; one of ours with the same name is replaced by it.
        sql: An aggregate over the table's columns, or arithmetic over features.
        source: The logical table that it adds up, or ``features`` (key ``from``).
        window: Only rows of so many days before the instant.
        where: Only rows where this holds.
        description: What it means, for people.
        unit: Unit of the value.
        empty: What stands for people without rows; otherwise 0 for counts and sums, nothing else.
        high: What one says of people with much of it, such as ``buys on promotion``; names of
            clusters are suggested from that.
        low: Likewise with little of it, such as ``pays full price``.
    """

    name: Name
    sql: Expression
    source: Name = Field(alias="from")
    window: Days | None = None
    where: Expression | None = None
    description: Text | None = None
    unit: Text | None = None
    empty: StrictInt | StrictFloat | None = None
    high: Text | None = None
    low: Text | None = None


class Features(Section):
    """What is computed of people.

    Attributes:
        history: How far back rows are read; None: as far as they go.
        packs: Packs that are computed whole; None: of every pack whose tables are mapped, what
            something in the file asks for by name.
        custom: Features of the user's own.
        embeddings: Name of a feature -> column of ``tables.customers`` that holds a list of
            numbers.
        words: Meaning of an event -> the names of events that mean it, instead of the shipped ones.
        categories: Spelling of a product's category -> the category that is meant.
        category_level: Column of products that is meant by a category.
        interest_half_life: After so long an interest in a category is worth half.
        deny: Columns that no model may read.
        allow: Attributes of people, such as country, that models may read after all; unnamed, they
            only describe.
        report_only: Columns that may describe a segment, but neither form it nor feed a model.
    """

    history: Annotated[timedelta, BeforeValidator(_history)] | None = None
    packs: tuple[Pack, ...] | None = None
    custom: tuple[CustomFeature, ...] = ()
    embeddings: Mapping[Name, Text] = Field(default_factory=dict)
    words: Mapping[Meaning, Texts] = Field(default_factory=dict)
    categories: Mapping[Text, Text] = Field(default_factory=dict)
    category_level: CategoryLevel = "category"
    interest_half_life: Days = timedelta(days=14)
    deny: Names = DENIED
    allow: Names = ()
    report_only: Names = ()
