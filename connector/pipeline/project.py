"""One project: its file, its state, its destinations and its clock; every command is a method here.

The clock is an argument, so that the demo and the tests let time pass without waiting for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector import registry
from connector.audiences import reach
from connector.audiences.specs import load_specs
from connector.config import Config, load_config
from connector.domain import Finding, Level, Stage
from connector.errors import ConfigError, PlanError
from connector.pipeline import specs
from connector.pipeline.activate.activation import Activation, Progress
from connector.pipeline.activate.applying import ApplyReport, apply_plan
from connector.pipeline.activate.planning import make_plan
from connector.pipeline.prove.power_plan import underpowered
from connector.pipeline.prove.registered import register
from connector.pipeline.show import movement, publish
from connector.pipeline.show.standing import standings
from connector.pipeline.show.trained import Trained
from connector.pipeline.understand.act import Understanding, remember, understand
from connector.pipeline.understand.opening import STANDING, Workspace, open_workspace
from connector.pipeline.understand.stitching import stitch_people, tables_read
from connector.plan.document import Plan, quality_rows, read_plan
from connector.ports import Destination, Warehouse
from connector.profiles import consent, customers, exclusion, people
from connector.sources import mapping
from connector.state.database import State
from connector.state.journal import Journal

if TYPE_CHECKING:
    from connector.pipeline.prove.offering import Proof

PATH_OPTIONS = ("path",)
"""Adapter options that are paths, meant relative to the configuration."""


def _now() -> datetime:
    return datetime.now(UTC)


def _copy(folder: Path, out: Path) -> None:
    """Copy a plan, owner-only; whatever else lies in ``out`` is left as it is."""
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in sorted(folder.rglob("*")):
        target = out / path.relative_to(folder)
        if path.is_dir():
            target.mkdir(exist_ok=True, mode=0o700)
        else:
            target.touch(mode=0o600)
            target.chmod(0o600)
            shutil.copyfile(path, target)


def build_destination(config: Config, name: str, properties: Iterable[str]) -> Destination:
    """One adapter of a configuration, told every property that will be written there.

    Only the adapter knows which names may be written, campaigns' properties included.

    Raises:
        ConfigError: The adapter is missing, or refuses its options or a property.
    """
    one = config.destinations[name]
    options = one.adapter_options()
    for key in PATH_OPTIONS:
        if isinstance(options.get(key), str):
            options[key] = config.resolve(options[key])
    return registry.build(one.type, name, {**options, "properties": dict.fromkeys(properties, "")})


class Project:
    """A configuration with everything that its commands work on.

    Attributes:
        config: The configuration.
        state: The state database.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], datetime] = _now,
        identity_key: str | None = None,
        progress: Progress = lambda _what, _done, _total: None,
    ) -> None:
        """Open the state of a configuration; destinations are built when they are first needed.

        Args:
            config: The configuration.
            clock: Tells the present, aware.
            identity_key: For a new state folder; see :meth:`connector.state.database.State.open`.
            progress: Told what goes on.
        """
        folder = config.resolve(config.project.state)
        if "://" in folder:
            raise ConfigError(
                f"{config.locate('project.state')}: project.state is an address; this version keeps"
                " its state in a folder.",
                hint="Give a folder, such as ./state.",
            )
        self.config = config
        self.state = State.open(Path(folder), identity_key=identity_key)
        self._clock = clock
        self._progress = progress
        self._destinations: dict[str, Destination] | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Callable[[], datetime] = _now,
        identity_key: str | None = None,
        progress: Progress = lambda _what, _done, _total: None,
    ) -> Project:
        """Read a configuration file and open its project."""
        return cls(load_config(path), clock=clock, identity_key=identity_key, progress=progress)

    def close(self) -> None:
        """Release connections and files; safe to call twice."""
        for destination in (self._destinations or {}).values():
            destination.close()
        self.state.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def now(self) -> datetime:
        """The clock's reading."""
        return self._clock()

    @property
    def journal(self) -> Journal:
        """The state's journal."""
        return Journal(self.state)

    @property
    def destinations(self) -> Mapping[str, Destination]:
        """The adapters of the file, built on first use.

        Raises:
            ConfigError: An adapter is missing or refuses its options.
        """
        if self._destinations is None:
            self._destinations = {
                name: build_destination(self.config, name, specs.written(self.config, name))
                for name in self.config.destinations
            }
        return self._destinations

    # ------------------------------------------------------------------ commands
    def plan(self, *, out: Path | None = None, as_of: datetime | None = None) -> Plan:
        """Make a plan; nothing changes at any vendor.

        Args:
            out: Also copy the plan to this folder.
            as_of: Overrides the file's instant.
        """
        with self.state.lock("plan"):
            return self._plan(out=out, as_of=as_of)

    def apply(
        self, folder: Path | None = None, *, approved: Collection[str] = (), approver: str = ""
    ) -> ApplyReport:
        """Carry out a plan: the newest one, or the one in a folder."""
        with self.state.lock("apply"):
            plan = read_plan(folder or self._newest_plan())
            return self._apply(plan, approved=approved, approver=approver)

    def sync(
        self,
        *,
        as_of: datetime | None = None,
        approved: Collection[str] = (),
        approver: str = "",
    ) -> tuple[Plan, ApplyReport]:
        """Plan and apply in one go, for schedulers; guards hold what they hold."""
        with self.state.lock("sync"):
            plan = self._plan(as_of=as_of)
            return plan, self._apply(plan, approved=approved, approver=approver)

    def train(
        self, *, as_of: datetime | None = None, accept_labels: Collection[str] = ()
    ) -> Trained:
        """Fit the models anew.

        Args:
            as_of: Overrides the file's instant.
            accept_labels: Models with labels that are used however many people change theirs:
                somebody has looked at the review.

        Returns:
            How good they are, and whom that moves; the next plan shows it too.

        Raises:
            ConfigError: A model to accept has no labels.
        """
        known = specs.labelled_models(self.config)
        for name in accept_labels:
            if name not in known:
                raise ConfigError(
                    f"no model with labels is named {name!r}.",
                    hint=f"Models with labels: {', '.join(known) or 'none'}.",
                )
        with (
            self.state.lock("train"),
            self._understood(as_of=as_of, retrain=True, accepted=accept_labels) as found,
        ):
            moves = movement.refits(found, self.journal)
            versions = remember(self.state, found, now=self.now)
            return Trained(standings(found, self.journal, versions), found.migration, moves)

    def summary(self, run_id: str) -> dict[str, Any] | None:
        """What a run published about itself; None when its folder is gone."""
        path = self.state.folder / "runs" / run_id / "summary.json"
        if not path.exists():
            return None
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return document

    # ------------------------------------------------------------------ within
    @contextlib.contextmanager
    def workspace(self) -> Iterator[Workspace]:
        """A workspace with the file's sources attached."""
        with open_workspace(self.config, spill=self.state.folder / "spill") as workspace:
            yield workspace

    @contextlib.contextmanager
    def _understood(
        self,
        *,
        as_of: datetime | None = None,
        retrain: bool = False,
        accepted: Collection[str] = (),
    ) -> Iterator[Understanding]:
        with self.workspace() as workspace:
            yield self.understand(workspace, as_of=as_of, retrain=retrain, accepted=accepted)

    def understand(
        self,
        workspace: Workspace,
        *,
        as_of: datetime | None = None,
        retrain: bool = False,
        accepted: Collection[str] = (),
        looking_back: Understanding | None = None,
    ) -> Understanding:
        """The first act; see :func:`connector.pipeline.understand.act.understand`."""
        return understand(
            self.config,
            self.state,
            workspace,
            as_of=as_of or self.config.project.instant(self.now),
            retrain=retrain,
            accepted=accepted,
            looking_back=looking_back,
            progress=lambda step: self._progress(step, 0, None),
        )

    def _plan(self, *, out: Path | None = None, as_of: datetime | None = None) -> Plan:
        journal = self.journal
        journal.take_up(self.now)
        with self._understood(as_of=as_of) as found:
            versions = remember(self.state, found, now=self.now)
            shown = publish.describe_models(found, self.journal, versions)
            plan = make_plan(
                found.warehouse.connection,
                self.state,
                self.activation(found),
                as_of=found.as_of,
                now=self.now,
                folder=self.state.folder / "plans",
                extra_guards=(*found.guards, *underpowered(self, found)),
                header_extra={
                    "quality": (
                        *quality_rows(found.findings),
                        *(
                            {"table": line.table, "measure": line.measure, "n": line.n}
                            for line in found.quality.lines
                        ),
                    ),
                    "migration": tuple(
                        {"before": m.before, "after": m.after, "people": m.n_people}
                        for m in found.migration
                    ),
                    "model_versions": versions,
                    "models": shown.short,
                    "flows": shown.flows,
                    "moves": shown.moves,
                    "table_counts": dict(found.table_counts),
                },
                progress=self._progress,
            )
            publish.write_published(found, plan, shown)
        if out is not None:
            _copy(plan.folder, out)
        return plan

    def _apply(self, plan: Plan, *, approved: Collection[str], approver: str) -> ApplyReport:
        self.journal.take_up(self.now)
        register(self.config, self.state)
        report = apply_plan(
            self.state,
            self.activation(None, as_of=plan.header.as_of),
            plan,
            now=self.now,
            no_longer_permitted=self._no_longer_permitted(plan),
            approved=approved,
            approver=approver,
            progress=self._progress,
        )
        publish.publish_run(self.state.folder, plan, report)
        return report

    def activation(
        self, found: Understanding | None, *, as_of: datetime | None = None
    ) -> Activation:
        """What planning and applying need of the file.

        Args:
            found: The first act; applying has none.
            as_of: The instant of the plan that is applied; else that of the first act, or now.
        """
        config = self.config
        as_of = as_of or (found.as_of if found else config.project.instant(self.now))
        proved = self._proofs(found)
        global_holdout = config.holdouts.global_on(as_of.astimezone(config.project.zone).date())
        return Activation(
            project=config.project.name,
            currency=config.project.currency,
            config_digest=config.digest,
            destinations=self.destinations,
            destination_specs=specs.destination_specs(config, self.destinations),
            campaigns=specs.campaign_specs(
                config,
                as_of=as_of,
                drawn=self.journal.drawn_arms(),
                scored=found.columns if found else {},
                proved={name: one.offer for name, one in proved.items() if one.offer is not None},
            ),
            remarks=[
                Finding(Level.NOTE, f"campaigns.{name}.strategy", one.told(config, name))
                for name, one in proved.items()
            ],
            rations=specs.rations(config),
            priority_lists=specs.priority_lists(config),
            limits=specs.guard_limits(config),
            salt=config.holdouts.assign.salt.get_secret_value(),
            global_holdout=(
                None if global_holdout is None else (global_holdout.name, global_holdout.share)
            ),
            fields=specs.fields(
                config,
                found.columns if found else {},
                {meta.name: meta for meta in found.features} if found else {},
            ),
            labels=specs.label_columns(config),
            max_age=config.guards.plan_max_age,
            doubted_before=(
                self.journal.withdrawn_by() if found and found.doubts_consent else None
            ),
            reconcile_every=specs.reconcile_every(config),
        )

    def _proofs(self, found: Understanding | None) -> dict[str, Proof]:
        """Which offer of another campaign each gives that asks for the best one.

        Applying needs none: what is sent is in the plan.
        """
        asked = any(one.best_offer_of for one in self.config.strategies.values())
        if not asked or found is None or not isinstance(found.warehouse, Workspace):
            return {}
        # Only now: comparing takes scipy, which is slow to load.
        from connector.pipeline.prove.offering import proofs

        return proofs(self.config, self.state, found.warehouse, as_of=found.as_of)

    def _newest_plan(self) -> Path:
        folders = sorted((self.state.folder / "plans").glob("plan-*/plan.json"))
        if not folders:
            raise PlanError(
                f"there is no plan in {self.state.folder / 'plans'}.",
                hint="Run `liftline plan` first.",
            )
        return folders[-1].parent

    @contextlib.contextmanager
    def people(self, *, as_of: datetime) -> Iterator[Workspace]:
        """Customers, who is who, consent and exclusion lists alone: no features and no models."""
        with self.workspace() as workspace:
            with workspace.computing(STANDING) as warehouse:
                self._compute_standing(warehouse, as_of=as_of)
            yield workspace

    def _no_longer_permitted(self, plan: Plan) -> dict[str, set[str]]:
        """Who may not be written to any more, by the sources as they are at this moment.

        Consent, exclusion lists and the customers themselves are read again: a plan may have waited
        for a day until somebody approved it. Exclusion rules (``where``) are not: they
        judge features and scores, which would take the whole first act once more. They are as old
        as the segments that the plan was made of, and as ``guards.plan_max_age`` lets it be.
        """
        import pyarrow.dataset as ds

        config = self.config
        wanted = ds.dataset(plan.changes_path).to_table(
            columns=["destination", "profile_id", "match_key", "claims"],
            filter=ds.field("stage") >= int(Stage.RECORDS),
        )
        if wanted.num_rows == 0:
            return {}
        now = max(self.now, config.project.instant(self.now))
        with self.people(as_of=now) as workspace:
            con = workspace.connection
            load_specs(con, specs.destination_specs(config, self.destinations), [], [])
            reach.build_reach(con)
            con.register("wanted", wanted)
            rows = con.execute(
                "SELECT DISTINCT w.destination, w.profile_id FROM wanted w LEFT JOIN reach r"
                " USING (destination, profile_id) WHERE r.profile_id IS NULL OR r.blocked IS NOT"
                # The consent that was found is that of another address.
                " NULL OR r.match_key IS DISTINCT FROM w.match_key"
                " UNION SELECT w.destination, w.profile_id FROM wanted w JOIN exclusions x"
                " ON x.profile_id = w.profile_id"
                " AND list_contains(string_split(w.claims, ','), x.applies_to)"
            ).fetchall()
            con.unregister("wanted")
        barred: dict[str, set[str]] = {}
        for destination, profile_id in rows:
            barred.setdefault(destination, set()).add(profile_id)
        return barred

    def _compute_standing(self, warehouse: Warehouse, *, as_of: datetime) -> None:
        """Customers, consent and exclusion lists as they are at an instant, and nothing else."""
        config = self.config
        for spec in specs.table_specs(config):
            if spec.name in {"consents", *tables_read(config)}:
                mapping.map_table(warehouse, spec, timezone=config.project.timezone)
        # Whoever orders too much to be a person is in no plan, so nobody asks for their standing.
        customers_spec = dataclasses.replace(specs.customers_spec(config), max_orders=None)
        customers.clean_customers(warehouse, customers_spec, as_of=as_of)
        stitch_people(config, self.state, warehouse, as_of=as_of)
        consent_spec = specs.consent_spec(config)
        consent.resolve_consent(warehouse, consent_spec, as_of=as_of)
        people.build_profiles(warehouse, consent_spec)
        consent.grant_permissions(warehouse, consent_spec)
        lists, _ = specs.exclusion_specs(config)
        exclusion.build_exclusions(warehouse, lists)
