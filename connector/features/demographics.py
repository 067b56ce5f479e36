"""Who somebody is, and what others have worked out about them: attributes and embeddings.

Attributes are known of the person, not counted. They may describe a segment in a report, but by
default they neither form one nor feed a model: a country or a year of birth in a model is how a
shop treats people by their origin or age without meaning to.

An embedding is a list of numbers that the user's own tables hold for each customer, made by
somebody else's model. It is carried along as it is and taken apart where models read it
(:mod:`connector.models.inputs`).
"""

from __future__ import annotations

from collections.abc import Mapping

from connector.features.pack import VECTOR, FeaturePack, ProfileColumn

OLDEST_YEARS = 120
"""Nobody is older; such a year of birth is a typing error."""


def demographics_pack() -> FeaturePack:
    """Attributes of the person, to describe segments with."""
    plain = tuple(
        ProfileColumn(name, name, unit, meaning, needs=(f"customers.{name}",))
        for name, unit, meaning in (
            ("country", "country code", "country of the customer"),
            ("city", "city", "city of the customer"),
            ("acquisition_channel", "channel", "where the customer came from"),
        )
    )
    age = "year_of(as_of) - birth_year"
    return FeaturePack(
        name="demographics",
        table="",
        time="",
        attributes=(
            *plain,
            ProfileColumn(
                "age_years",
                f"CASE WHEN {age} BETWEEN 0 AND {OLDEST_YEARS} THEN {age} END",
                "years",
                "age at the end of the year",
                type="BIGINT",
                needs=("customers.birth_year",),
            ),
        ),
        needs=("customers",),
    )


def embeddings_pack(columns: Mapping[str, str]) -> FeaturePack:
    """Embeddings that the customers' table holds.

    Args:
        columns: Name of the feature -> column of customers: a list of numbers, or its text such as
            ``[0.1, 0.2]``.
    """
    return FeaturePack(
        name="embeddings",
        table="",
        time="",
        attributes=tuple(
            ProfileColumn(
                name,
                '"' + column.replace('"', '""') + '"',
                VECTOR,
                f"embedding {column} of the customer",
                type="",
                needs=(f"customers.{column}",),
                describe_only=False,
            )
            for name, column in columns.items()
        ),
        needs=("customers",),
    )
