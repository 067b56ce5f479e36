"""What is read: project, sources, tables, quality, identity, consent, exclusion lists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)

from connector.config.values import (
    Duration,
    Expression,
    Money,
    Name,
    Names,
    Section,
    Share,
    Text,
    Texts,
    Whole,
    refuse,
)
from connector.profiles.countries import COUNTRIES

KeyKind = Literal["email", "customer_id"]
IdKind = Literal["customer_id", "email", "phone", "anonymous_id"]


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def _zone(value: object) -> object:
    if not isinstance(value, str) or value not in _zones():
        raise refuse("a time zone of the IANA list, such as Europe/Berlin or UTC", words=_zones())
    return value


def _currency(value: str) -> str:
    if len(value) != 3 or not value.isascii() or not value.isalpha() or not value.isupper():
        raise refuse("a currency code of three capital letters, such as EUR")
    return value


def _project_name(value: str) -> str:
    if len(value) > 64 or not all(c.isalnum() or c in " ._-" for c in value):
        raise refuse("at most 64 letters, digits, spaces and the characters . _ -")
    return value


def _as_of(value: object) -> object:
    if value == "now" or isinstance(value, date):
        return value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return moment.date() if len(value) == 10 else moment
    raise refuse("now, a day such as 2026-03-01, or an instant such as 2026-03-01T06:00:00+01:00")


class Project(Section):
    """Whose data this is, and how its times and amounts are meant.

    Attributes:
        as_of: ``now``, a day (its first instant in the project's time zone), or an instant.
        state: Folder of the state database, relative to the file; or an address such as
            ``postgresql://...``. Kept out of ``repr``: an address may hold a password.
    """

    name: Annotated[Text, AfterValidator(_project_name)]
    timezone: Annotated[StrictStr, BeforeValidator(_zone)] = "UTC"
    currency: Annotated[Text, AfterValidator(_currency)] = "EUR"
    as_of: Annotated[Literal["now"] | datetime | date, BeforeValidator(_as_of)] = "now"
    state: Text = Field(default="./state", repr=False)

    @property
    def zone(self) -> ZoneInfo:
        """The project's time zone."""
        return ZoneInfo(self.timezone)

    def instant(self, now: datetime) -> datetime:
        """The instant that a run computes everything as of, in UTC.

        Args:
            now: The present, aware; used when the file says ``now``.
        """
        if self.as_of == "now":
            return now.astimezone(UTC)
        if isinstance(self.as_of, datetime):
            moment = self.as_of
        else:
            moment = datetime.combine(self.as_of, time())
        return (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).astimezone(UTC)


class FileSource(Section):
    """Files to read from.

    Attributes:
        type: ``duckdb`` (tables are addressed as ``source.table``), ``csv`` or ``parquet`` (the
            source is the table).
        path: A file, or a pattern of files, relative to the configuration.
    """

    type: Literal["duckdb", "csv", "parquet"]
    path: Text = Field(repr=False)


class PostgresSource(Section):
    """A PostgreSQL database to read from; its tables are addressed as ``source.table``.

    Attributes:
        dsn: Its address with role and password; a secret, so the name of a variable.
        schema_: The schema whose tables are read (key ``schema``).
    """

    type: Literal["postgres"]
    dsn: SecretStr = Field(min_length=1)
    schema_: Text = Field(default="public", alias="schema")


Source = Annotated[FileSource | PostgresSource, Field(discriminator="type")]
"""One place to read from."""

DATABASES = frozenset({"duckdb", "postgres"})
"""Types of sources that hold several tables."""


def _column_alone(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


class ColumnTest(Section):
    """A test of one logical column.

    Attributes:
        warn_above: Share of rows that may fail; more make a warning. None: any row is an error.
    """

    column: Text
    warn_above: Share | None = None


class RelationshipTest(ColumnTest):
    """Every value must be a key of the logical table ``to``."""

    to: Name


def _scalar(value: object) -> object:
    if isinstance(value, str | bool | int | float):
        return value
    raise refuse("a text, a number, true or false")


Scalar = Annotated[StrictStr | StrictBool | StrictInt | StrictFloat, BeforeValidator(_scalar)]


class AcceptedValuesTest(ColumnTest):
    """Every value must be one of ``values``."""

    values: tuple[Scalar, ...] = Field(min_length=1)


_Simple = Annotated[ColumnTest | None, BeforeValidator(_column_alone)]


class TableTest(Section):
    """One test of a table: exactly one of the kinds is given."""

    unique: _Simple = None
    not_null: _Simple = None
    valid_email: _Simple = None
    non_negative: _Simple = None
    relationship: RelationshipTest | None = None
    accepted_values: AcceptedValuesTest | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that are given; in a valid file it is one."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def kind(self) -> str:
        """Which test it is."""
        return self.kinds[0]

    @property
    def test(self) -> ColumnTest:
        """The test itself."""
        found: ColumnTest = getattr(self, self.kind)
        return found


class Freshness(Section):
    """How old the newest value of a physical column may be."""

    column: Text
    warn_after: Duration | None = None
    error_after: Duration | None = None


class Table(Section):
    """Where a logical table is, and which column is which.

    Attributes:
        source: ``source.table`` for a database, ``source`` for files (key ``from``).
        columns: Logical column -> physical column or expression.
        dedupe: ``exact`` drops exact duplicates of physical rows first.
        quarantine: Reason -> condition over physical columns; such rows are set aside and counted.
        filter: Rows that belong to the table at all.
        group_by: Physical columns (or expressions) to group by; then ``columns`` may hold
            aggregates.
        mutable: Logical columns that change in place, such as a refund that is booked into the
            order's row: what they held at an earlier instant is gone, so no model learns from them.
    """

    source: Text = Field(alias="from")
    columns: Mapping[Name, Expression] = Field(min_length=1)
    dedupe: Literal["exact"] | None = None
    quarantine: Mapping[Name, Expression] = Field(default_factory=dict)
    filter: Expression | None = None
    group_by: Texts = ()
    mutable: Names = ()
    tests: tuple[TableTest, ...] = ()
    freshness: Freshness | None = None


class OrdersTable(Table):
    """The orders, with two expressions over their logical columns.

    Attributes:
        net_revenue: What an order is worth; default
            ``gross - coalesce(discount, 0) - coalesce(refund, 0)`` over the columns that are
            mapped.
        cancelled: Which rows cancel; they are netted and never count as orders.
    """

    net_revenue: Expression | None = None
    cancelled: Expression | None = None


class Tables(Section):
    """The logical tables of :data:`connector.tables.TABLES` (consents come from ``consent``)."""

    customers: Table
    orders: OrdersTable
    order_items: Table | None = None
    products: Table | None = None
    events: Table | None = None
    tickets: Table | None = None
    social: Table | None = None
    loyalty: Table | None = None

    def items(self) -> Iterator[tuple[str, Table]]:
        """Name and mapping of every table that is configured."""
        for name in type(self).model_fields:
            table = getattr(self, name)
            if table is not None:
                yield name, table


class Missing(Section):
    """What stands for missing values among the inputs of a model.

    Attributes:
        numeric: The median of training, and (``median_plus_flag``) a column that says where it
            stands.
        categorical: The word for a missing text, which is a word like any other.
        drop_feature_above: A feature of which a larger share is missing is no input.
    """

    numeric: Literal["median_plus_flag", "median"] = "median_plus_flag"
    categorical: Text = "(unknown)"
    drop_feature_above: Share = 0.6


class Outliers(Section):
    """Who is no person, though listed as one.

    Attributes:
        exclude_people_above_orders: A customer with more orders, ever, is a reseller or a machine
            and left out everywhere, as a test account is. None: nobody is.
    """

    exclude_people_above_orders: Annotated[StrictInt, Field(ge=1)] | None = None


class Quality(Section):
    """What to do with imperfect rows.

    Attributes:
        duplicates: Two rows with one key: keep the latest, or stop.
        exclude: Test accounts, as a condition over logical customer columns.
        max_order_value: Orders above are set aside as impossible; in the shop's currency.
        outliers: Who is left out for buying more than people do.
        missing: What models read where nothing is known.
    """

    duplicates: Literal["keep_latest", "error"] = "keep_latest"
    exclude: Expression | None = None
    max_order_value: Money | None = None
    outliers: Outliers = Outliers()
    missing: Missing = Missing()


def _short_patterns(value: object) -> object:
    """A list of patterns is one of e-mail addresses."""
    return {"email": value} if isinstance(value, str | list | tuple) else value


def _phone_patterns(values: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch(r"[+*][0-9*]*", value) for value in values):
        raise refuse("patterns of whole numbers as E.164 writes them, such as +4930555*")
    return values


def _country(value: object) -> object:
    if value not in COUNTRIES:
        raise refuse("the two letters of a country, such as DE", words=tuple(COUNTRIES))
    return value


def _as_always(kind: str, steps: tuple[str, ...]) -> BeforeValidator:
    """Accepts the one normal form of a kind of key."""

    def check(value: object) -> object:
        if not isinstance(value, list | tuple) or tuple(value) != steps:
            raise refuse(f"[{', '.join(steps)}], which is how every {kind} is compared")
        return tuple(value)

    return BeforeValidator(check)


class NeverMerge(Section):
    """Patterns of keys that many people share, such as ``info@*``.

    Attributes:
        email: In any letter case.
        phone: In E.164, such as ``+4930555*``.
        anonymous_id: Of devices; what is done on them is nobody's.
    """

    email: Texts = ()
    phone: Annotated[Texts, AfterValidator(_phone_patterns)] = ()
    anonymous_id: Texts = ()


class Normalise(Section):
    """In which form keys are compared. There is one for each kind; writing it down is optional.

    Attributes:
        email: Without blanks around it, in small letters.
        phone: As E.164 writes it, ``+491712345678``.
    """

    email: Annotated[tuple[str, ...], _as_always("address", ("trim", "lower"))] = ("trim", "lower")
    phone: Annotated[tuple[str, ...], _as_always("number", ("e164",))] = ("e164",)


class Edges(Section):
    """Which keys stand in one row of a table, and so belong together.

    Attributes:
        source: The table (key ``from``).
        ids: Its keys.
    """

    source: Literal["customers", "events"] = Field(alias="from")
    ids: tuple[IdKind, ...] = Field(min_length=2)


class IdLimits(Section):
    """What is too much for one person; beyond it the keys that would join more join nobody.

    Attributes:
        customer_id_per_person: Customers. None: any number through addresses and numbers, and none
            through a device.
        email_per_person: Addresses.
        phone_per_person: Telephone numbers.
        anonymous_id_per_person: Devices; those of somebody with more are nobody's.
        on_breach: The keys are set aside and counted.
    """

    customer_id_per_person: Annotated[Whole, Field(ge=1)] | None = None
    email_per_person: Annotated[Whole, Field(ge=1)] | None = None
    phone_per_person: Annotated[Whole, Field(ge=1)] | None = None
    anonymous_id_per_person: Annotated[Whole, Field(ge=1)] | None = None
    on_breach: Literal["quarantine"] = "quarantine"


class Identity(Section):
    """When two customers are one person.

    Attributes:
        unit: What is stitched.
        ids: Kinds of keys that belong to a person, the most trusted first.
        normalise: In which form they are compared.
        country: Of telephone numbers without a country's code, where the customer's row names none.
        edges: Where the keys meet; None: in all tables that hold them.
        shared_email: Customers with one e-mail address are merged into one profile, or set aside.
        max_customers_per_email: More than these on one address are never merged; nor on one number,
            unless ``limits.customer_id_per_person`` is given. The smaller of the two counts for
            addresses.
        never_merge_on: Patterns of keys that many people share; a list is one of addresses.
        limits: What is too much for one person.
        when_apart: What becomes of customers of one person who have no key in common any more.
            None: ``split`` where ``ids`` is given, else ``keep``.
    """

    unit: Literal["person"] = "person"
    ids: tuple[IdKind, ...] = ("customer_id", "email")
    normalise: Normalise = Normalise()
    country: Annotated[StrictStr, BeforeValidator(_country)] | None = None
    edges: tuple[Edges, ...] | None = None
    shared_email: Literal["merge", "quarantine"] = "merge"
    max_customers_per_email: Annotated[Whole, Field(ge=1)] = 5
    never_merge_on: Annotated[NeverMerge, BeforeValidator(_short_patterns)] = Field(
        default=NeverMerge(), repr=False
    )
    limits: IdLimits = IdLimits()
    when_apart: Literal["keep", "split"] | None = None

    @property
    def parting(self) -> Literal["keep", "split"]:
        """What becomes of customers who have nothing in common any more."""
        return self.when_apart or ("split" if "ids" in self.model_fields_set else "keep")


class Consent(Section):
    """Who allowed what. No record means no.

    Attributes:
        key: What ``columns.person`` holds.
        columns: Logical column (person, purpose, channel, status, at, source) -> physical column or
            expression.
        granted: Words of the source that mean yes; compared without regard to case.
        withdrawn: Words that mean no; any other word is set aside and counted as no record.
        purposes: Purposes to read; None: those that a destination requires.
    """

    source: Text = Field(alias="from")
    key: KeyKind = "email"
    columns: Mapping[Name, Expression] = Field(min_length=1)
    granted: Texts = ("granted", "subscribed", "yes", "true", "opted_in")
    withdrawn: Texts = ("withdrawn", "unsubscribed", "no", "false", "opted_out")
    purposes: Names | None = None
    freshness: Freshness | None = None


class ExclusionList(Section):
    """People who must not be reached: those of a table, or those that meet a condition.

    Attributes:
        key: What the table's column holds.
        column: The table's column; default: the name of the key.
        applies_to: Campaigns; None: all.
    """

    name: Name
    source: Text | None = Field(default=None, alias="from")
    key: Literal["email", "customer_id", "profile_id"] = "email"
    column: Text | None = None
    where: Expression | None = None
    applies_to: Names | None = None
