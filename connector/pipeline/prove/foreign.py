"""Somebody else's experiment, read from files: who was in which arm, and what they did.

Two files are enough: assignments (a person and an arm) and outcomes (a person and numbers), CSV or
Parquet. A third holds what was known of people before: numbers sharpen the comparison (CUPED),
texts class people. Everybody assigned counts, with nothing where no outcome is told; whoever is in
no arm is left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from connector.errors import ConfigError, SchemaError, SourceError
from connector.lift.compare import MeasurementSpec
from connector.lift.experiment import EPOCH, Experiment, analyse_experiment
from connector.lift.inputs import companion
from connector.lift.metrics import MetricKind
from connector.lift.outcome import Outcome
from connector.lift.result import CampaignLift, HealthFinding
from connector.lift.verdict import Unit
from connector.numbers import several
from connector.pipeline.prove import amounts
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.render import literal, quote

PERSONS = ("person", "person_id", "user_id", "customer_id", "profile_id", "household_id", "id")
"""Names that a column of people is looked for under."""
ARMS = ("arm", "group", "variant", "variation", "treatment", "cohort")
"""Names that a column of arms is looked for under."""
BEFORE = ("pre_{}", "{}_pre", "{}_before", "{}")
"""Names that the covariate of an outcome is looked for under, with the outcome's in the braces."""
LEAST_CLASSES, MOST_CLASSES = 2, 30
"""Values of a text column that may class people."""
COUNT_WORDS = ("orders", "items", "visits", "sessions", "clicks", "sends", "units", "count", "n_")
"""Words in a column's name by which it counts things, and is no money."""
ROUNDED = 0.0151
"""How far shares may miss 1 together by having been rounded: three times 33 % is 99 %."""
EXPERIMENT = "experiment_units"


@dataclass(frozen=True, slots=True)
class Files:
    """Where the experiment lies.

    Attributes:
        assignments: One row a person: who, and in which arm.
        outcomes: Any number of rows a person, added up: who, and numbers.
        covariates: One row a person: what was known before. None: nothing.
        person: Column of people in all of them; empty: looked for.
        arm: Column of arms; empty: looked for.
    """

    assignments: Path
    outcomes: Path
    covariates: Path | None = None
    person: str = ""
    arm: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to know of it.

    Attributes:
        control: The arm that the others are compared with.
        metrics: Columns of the outcomes, or two with a slash for a ratio (``revenue/orders``), the
            first of which decides; empty: every number.
        shares: Arm -> intended share; empty: the split is not tested.
        counts: Columns that count things although their name does not say so.
    """

    control: str
    metrics: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    counts: frozenset[str] = frozenset()


def read_and_analyse(
    files: Files, asked: Asked, *, as_of: datetime, rules: MeasurementSpec
) -> list[CampaignLift]:
    """Every outcome, every arm against the control and against each other.

    Args:
        files: Where it lies.
        asked: What is wanted.
        as_of: Instant of the analysis, aware.
        rules: How.

    Raises:
        SourceError: A file cannot be read, or has no such column; it is named.
        ConfigError: What is asked does not fit what the files hold.
    """
    with DuckDBWarehouse() as warehouse:
        reader = _Reader(warehouse, files, asked, as_of, rules)
        return analyse_experiment(
            warehouse, reader.experiment(), relation=EXPERIMENT, as_of=as_of, rules=rules
        )


class _Reader:
    """The files as one row a person."""

    def __init__(
        self,
        warehouse: DuckDBWarehouse,
        files: Files,
        asked: Asked,
        as_of: datetime,
        rules: MeasurementSpec,
    ) -> None:
        self.warehouse, self.files, self.asked = warehouse, files, asked
        self.as_of, self.rules = as_of, rules
        self.notes: list[HealthFinding] = []

    def experiment(self) -> Experiment:
        """Make the relation, and tell what is known of it."""
        arms = self._assign()
        outcomes = self._outcomes()
        adjusted, dimensions = self._covariates(outcomes)
        self._units(outcomes, adjusted, dimensions)
        return Experiment(
            name=self.files.assignments.stem,
            control=self.asked.control,
            arms=arms,
            outcomes=tuple(outcomes),
            adjusted=frozenset(adjusted) if self.rules.covariate_days else frozenset(),
            dimensions=tuple(dimensions),
            shares=self._shares(arms),
            notes=tuple(self.notes),
        )

    # ------------------------------------------------------------------ files
    def _attach(self, name: str, path: Path) -> Mapping[str, str]:
        """A file as the relation ``name``; its columns with their types."""
        if not path.is_file():
            raise SourceError(f"There is no file {path}.", hint="Check the path.")
        try:
            if path.suffix.lower() in (".parquet", ".pq"):
                self.warehouse.attach_parquet(name, str(path))
            elif path.suffix.lower() in (".csv", ".tsv", ".txt", ".gz"):
                self.warehouse.attach_csv(name, str(path))
            else:
                raise SourceError(
                    f"{path.name} is neither CSV nor Parquet by its name.",
                    hint="Name it .csv or .parquet.",
                )
        except SourceError as problem:
            text = problem.message.replace(f"source {name}", path.name)
            raise type(problem)(text, hint=problem.hint) from None
        return self.warehouse.columns(name)

    def _column(
        self, path: Path, columns: Mapping[str, str], asked: str, names: Sequence[str], what: str
    ) -> str:
        """The column that is asked for, or the first that is named as such columns are."""
        if asked:
            if asked not in columns:
                raise SchemaError(
                    f"{path.name} has no column {asked!r}.", hint=f"It has {', '.join(columns)}."
                )
            return asked
        lowered = {name.lower(): name for name in columns}
        for name in names:
            if name in lowered:
                return lowered[name]
        raise SchemaError(
            f"{path.name} has no column of {what}: {', '.join(columns)}.",
            hint=f"Name it with --{what}, or call it {names[0]}.",
        )

    def _person(self, path: Path, columns: Mapping[str, str]) -> str:
        return self._column(path, columns, self.files.person, PERSONS, "person")

    def _assign(self) -> dict[str, int]:
        """Everybody with one arm; the arms with their people."""
        path = self.files.assignments
        columns = self._attach("given", path)
        person = quote(self._person(path, columns))
        arm = quote(self._column(path, columns, self.files.arm, ARMS, "arm"))
        con = self.warehouse.connection
        con.execute(
            f"CREATE TABLE read_arms AS SELECT CAST({person} AS VARCHAR) AS person,"
            f" trim(CAST({arm} AS VARCHAR)) AS arm FROM given"
        )
        (n_rows, n_bare), *_ = con.execute(
            "SELECT count(*), count(*) FILTER (person IS NULL OR arm IS NULL OR arm = '')"
            " FROM read_arms"
        ).fetchall()
        if n_rows == 0:
            raise SourceError(f"{path.name} holds nobody.", hint="One row a person and arm.")
        if n_bare:
            raise SourceError(
                f"{path.name}: {several(n_bare, 'row')} of {n_rows:,} lack a person or an arm.",
                hint="Fill them in, or leave those rows out on purpose.",
            )
        (n_torn,) = con.execute(
            "SELECT count(*) FROM (SELECT person FROM read_arms GROUP BY person"
            " HAVING count(DISTINCT arm) > 1)"
        ).fetchall()[0]
        if n_torn:
            raise SourceError(
                f"{path.name}: {several(n_torn, 'person', 'people')} stand in more than one arm.",
                hint="Keep the arm that each person was given first.",
            )
        con.execute("CREATE TABLE assigned AS SELECT DISTINCT person, arm FROM read_arms")
        arms = dict(
            con.execute("SELECT arm, count(*) FROM assigned GROUP BY arm ORDER BY arm").fetchall()
        )
        repeated = n_rows - sum(arms.values())
        if repeated:
            self._note(f"{several(repeated, 'row')} of {path.name} said the same again.")
        if self.asked.control not in arms:
            raise ConfigError(
                f"No arm is called {self.asked.control!r}.",
                hint=f"{path.name} has {', '.join(arms)}; name one with --control.",
            )
        if len(arms) < 2:
            raise ConfigError(
                f"{path.name} has one arm only, {self.asked.control!r}: there is nothing to"
                " compare it with."
            )
        return arms

    def _outcomes(self) -> list[Outcome]:
        """Outcomes by person as ``acted``, and what each of them is."""
        path = self.files.outcomes
        columns = self._attach("happened", path)
        person = self._person(path, columns)
        con = self.warehouse.connection
        numbers = [name for name, kind in columns.items() if name != person and _is_number(kind)]
        others = [name for name in columns if name not in (person, *numbers)]
        if not self.asked.metrics:
            # Left out in silence, the next column would decide in its place.
            amounts.refuse_nearly_numbers(con, path, "happened", others)
            if numbers and others:
                self._note(f"No numbers, so not measured: {', '.join(others)} of {path.name}.")
        wanted = self.asked.metrics or tuple(numbers)
        if not wanted:
            raise SchemaError(
                f"{path.name} holds no number: {', '.join(columns)}.",
                hint="Outcomes are numbers; write 1 and 0 for yes and no.",
            )
        parts = list(dict.fromkeys(part for one in wanted for part in one.split("/")))
        for part in parts:
            if part not in numbers:
                amounts.refuse_nearly_numbers(
                    con, path, "happened", [part] if part in others else []
                )
                raise SchemaError(
                    f"{path.name} has no column of numbers called {part!r}.",
                    hint=f"It has {', '.join(numbers) or 'none'}.",
                )
        amounts.refuse_infinite(con, path, "happened", parts)
        for one in wanted:
            if one.count("/") > 1:
                raise ConfigError(f"{one!r} is no ratio of two columns.")
        # One value that is not known makes the person's sum unknown, never smaller.
        sums = ", ".join(
            f"CASE WHEN count({quote(p)}) = count(*) THEN"
            f" sum(CAST({quote(p)} AS DOUBLE)) END AS {quote(p)}"
            for p in parts
        )
        con.execute(
            f"CREATE TABLE acted AS SELECT CAST({quote(person)} AS VARCHAR) AS person, {sums}"
            " FROM happened GROUP BY 1"
        )
        n_strange, n_silent, n_all = con.execute(
            "SELECT (SELECT count(*) FROM acted WHERE person NOT IN (SELECT person FROM assigned)),"
            " (SELECT count(*) FROM assigned WHERE person NOT IN"
            " (SELECT person FROM acted WHERE person IS NOT NULL)),"
            " (SELECT count(*) FROM assigned)"
        ).fetchall()[0]
        if n_silent == n_all:
            raise SourceError(
                f"Nobody of {self.files.assignments.name} is in {path.name}.",
                hint="Are people named alike in both files? Name the column with --person.",
            )
        if n_strange:
            self._note(
                f"{several(n_strange, 'person', 'people')} of {path.name} are in no arm and were"
                " left out."
            )
        if n_silent:
            self._note(
                f"{several(n_silent, 'person', 'people')} have no row in {path.name} and count as"
                " nothing."
            )
        return [self._outcome(one) for one in wanted]

    def _outcome(self, name: str) -> Outcome:
        currency = self.rules.currency
        if "/" in name:
            top, bottom = name.split("/")
            money = not self._counts(top)
            label = f"{currency if money else _spoken(top)} per {_spoken(bottom).removesuffix('s')}"
            return Outcome(name, MetricKind.RATIO, 0, Unit(label))
        column = quote(name)
        others, n_yes = self.warehouse.connection.execute(
            f"SELECT count(*) FILTER ({column} NOT IN (0, 1)), count(*) FILTER ({column} = 1)"
            " FROM acted"
        ).fetchall()[0]
        if n_yes and not others:
            return Outcome(name, MetricKind.SHARE, 0, Unit("percentage points", scale=100.0))
        if self._counts(name):
            return Outcome(name, MetricKind.COUNT, 0, Unit(f"{_spoken(name)} per person", digits=3))
        return Outcome(name, MetricKind.SUM, 0, Unit(f"{currency} per person"), is_money=True)

    def _counts(self, name: str) -> bool:
        return name in self.asked.counts or any(word in name.lower() for word in COUNT_WORDS)

    def _covariates(self, outcomes: Sequence[Outcome]) -> tuple[dict[str, str], list[str]]:
        """Outcome -> column of the time before, and the columns that people are classed by."""
        path = self.files.covariates
        con = self.warehouse.connection
        if path is None:
            con.execute("CREATE TABLE before AS SELECT person FROM assigned")
            return {}, []
        columns = self._attach("known", path)
        person = self._person(path, columns)
        column = quote(person)
        (n_twice,) = con.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM known GROUP BY {column} HAVING count(*) > 1)"
        ).fetchall()[0]
        if n_twice:
            raise SourceError(
                f"{path.name}: {several(n_twice, 'person', 'people')} have more than one row.",
                hint="What was known before is one row a person.",
            )
        numbers = [name for name, kind in columns.items() if name != person and _is_number(kind)]
        means = [o.name for o in outcomes if o.kind in (MetricKind.SUM, MetricKind.COUNT)]
        adjusted = {}
        for name in means:
            found = [form.format(name) for form in BEFORE if form.format(name) in numbers]
            if found or len(numbers) == 1:
                adjusted[name] = found[0] if found else numbers[0]
        classes = [name for name in columns if name != person and name not in numbers]
        told = []
        for name in classes:
            (n,) = con.execute(f"SELECT count(DISTINCT {quote(name)}) FROM known").fetchall()[0]
            if LEAST_CLASSES <= n <= MOST_CLASSES:
                told.append(name)
        amounts.refuse_infinite(con, path, "known", list(dict.fromkeys(adjusted.values())))
        picks = "".join(f", {quote(name)}" for name in dict.fromkeys([*adjusted.values(), *told]))
        con.execute(
            f"CREATE TABLE before AS SELECT CAST({column} AS VARCHAR) AS person{picks} FROM known"
        )
        if adjusted:
            columns_used = ", ".join(dict.fromkeys(adjusted.values()))
            self._note(f"Sharpened by what was known before: {columns_used} of {path.name}.")
        return adjusted, told

    def _units(
        self, outcomes: Sequence[Outcome], adjusted: Mapping[str, str], dimensions: Sequence[str]
    ) -> None:
        """One row a person, with everything that is compared."""

        def known(part: str) -> str:
            # No row at all is nothing done; a row whose value is not known stays unknown.
            return f"CASE WHEN o.person IS NULL THEN 0 ELSE o.{quote(part)} END"

        picks = []
        for outcome in outcomes:
            top, _, bottom = outcome.name.partition("/")
            picks.append(f"{known(top)} AS {quote(outcome.name)}")
            if bottom:
                picks.append(f"{known(bottom)} AS {quote(companion(outcome.name))}")
            elif outcome.name in adjusted:
                column = f"CAST(b.{quote(adjusted[outcome.name])} AS DOUBLE)"
                # Of whom nothing is known the mean of the others is as good as any other number:
                # it was fixed before the arms were drawn.
                filled = f"coalesce({column}, avg({column}) OVER (), 0)"
                picks.append(f"{filled} AS {quote(companion(outcome.name))}")
        picks += [f"CAST(b.{quote(name)} AS VARCHAR) AS {quote(name)}" for name in dimensions]
        day = literal(self.as_of.replace(hour=0, minute=0, second=0, microsecond=0))
        self.warehouse.connection.execute(
            f"CREATE TABLE {EXPERIMENT} AS SELECT {literal(self.files.assignments.stem)} AS"
            f" campaign, {EPOCH} AS epoch, a.arm AS arm, a.person AS profile_id,"
            f" CAST({day} AS TIMESTAMP) AS look, {', '.join(picks)} FROM assigned AS a"
            " LEFT JOIN acted AS o ON o.person = a.person"
            " LEFT JOIN before AS b ON b.person = a.person"
            # One order of adding up: the same files give the same numbers to the last digit.
            " ORDER BY a.person"
        )

    def _shares(self, arms: Mapping[str, int]) -> dict[str, float]:
        """The intended shares, made to add up to one."""
        shares = dict(self.asked.shares)
        if not shares:
            return {}
        strange = [arm for arm in shares if arm not in arms]
        missing = [arm for arm in arms if arm not in shares]
        if missing:
            raise ConfigError(
                f"No intended share is told for {', '.join(missing)}.",
                hint="Name the share of every arm, or of none.",
            )
        if not all(0 < share < math.inf for share in shares.values()):
            raise ConfigError("Intended shares are positive numbers.")
        whole = sum(shares.values())
        # Weights such as 4, 3 and 3 are as good; of shares a slip would look like a broken split.
        if max(shares.values()) < 1 and abs(whole - 1.0) > ROUNDED:
            raise ConfigError(
                f"The intended shares add up to {100 * whole:g} %, not to 100 %.",
                hint="Name what every arm was meant to have.",
            )
        if strange:
            self._note(f"Nobody is in {', '.join(strange)}, which was to have people.")
        return {arm: share / whole for arm, share in shares.items()}

    def _note(self, message: str) -> None:
        self.notes.append(HealthFinding("files", None, alarm=False, message=message))


NUMBERS = (
    *("BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "HUGEINT"),
    *("UINT", "UTINYINT", "USMALLINT", "UBIGINT", "DECIMAL", "DOUBLE", "FLOAT", "REAL"),
)
"""How the types of numbers begin."""


def _is_number(kind: str) -> bool:
    return kind.upper().startswith(NUMBERS)


def _spoken(name: str) -> str:
    return name.replace("_", " ")
