"""The whole file as one value, with the way back from every part of it to its line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from connector.config.activation import (
    Campaign,
    Destination,
    Guards,
    PriorityList,
    Segment,
    SharedBudget,
    Strategy,
)
from connector.config.data import (
    Consent,
    ExclusionList,
    Identity,
    Project,
    Quality,
    Source,
    Tables,
)
from connector.config.document import Document
from connector.config.features import Features
from connector.config.holdouts import Holdouts
from connector.config.measurement import DEFAULT_METRICS, SHIPPED, Measurement, Metric
from connector.config.models import Models
from connector.config.problems import InvalidConfigError, KeyPath
from connector.config.stability import Stability
from connector.config.values import Name, Section, Text


def _with_shipped(metrics: Mapping[str, Metric]) -> Mapping[str, Metric]:
    return {**DEFAULT_METRICS, **metrics}


class Report(Section):
    """Where the report is written, relative to the file."""

    out: Text = Field(default="./out/report.html", repr=False)


class Config(Section):
    """A configuration that has passed every check.

    Made by :func:`connector.config.load.load_config`. Sections that the file leaves out hold their
    defaults.

    Attributes:
        metrics: The shipped ones, replaced and extended by the file's.
    """

    version: Literal[1] = 1
    project: Project
    sources: Mapping[Name, Source] = Field(min_length=1)
    tables: Tables
    quality: Quality = Quality()
    identity: Identity = Identity()
    consent: Consent | None = None
    exclusion_lists: tuple[ExclusionList, ...] = ()
    features: Features = Features()
    models: Models = Field(default_factory=lambda: Models.model_validate({}))
    stability: Stability = Stability()
    segments: Mapping[Name, Segment] = Field(default_factory=dict)
    priority_lists: tuple[PriorityList, ...] = ()
    strategies: Mapping[Name, Strategy] = Field(default_factory=dict)
    destinations: Mapping[Name, Destination] = Field(default_factory=dict)
    campaigns: Mapping[Name, Campaign] = Field(default_factory=dict)
    budgets: Mapping[Name, SharedBudget] = Field(default_factory=dict)
    holdouts: Holdouts
    # A factory, since a default that is a mapping is copied, and a copy is no shipped metric.
    metrics: Annotated[Mapping[Name, Metric], AfterValidator(_with_shipped)] = Field(
        default_factory=lambda: DEFAULT_METRICS
    )
    measurement: Measurement = Measurement()
    guards: Guards = Guards()
    report: Report = Report()

    _document: Document = PrivateAttr(default_factory=Document)

    @property
    def measured(self) -> Mapping[str, Metric]:
        """The metrics that campaigns are measured on: goals, and what is reported beside them."""
        also = self.measurement.also_report
        if also is None:
            # A shipped metric that the file repeats is a value of its own, and so the file's.
            own = [n for n, m in self.metrics.items() if DEFAULT_METRICS.get(n) is not m]
            also = (*SHIPPED, *own)
        goals = [campaign.goal for campaign in self.campaigns.values()]
        return {name: self.metrics[name] for name in dict.fromkeys((*goals, *also))}

    @property
    def path(self) -> Path:
        """The file that it was read from."""
        return Path(self._document.name)

    @property
    def folder(self) -> Path:
        """The file's folder, which relative paths start from."""
        return self.path.parent

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal, whatever the comments and the order of keys.

        Variables count by name, not by value, so it holds no secret and is the same on every
        machine.
        """
        return self._document.digest

    @property
    def detect(self) -> float:
        """The relative lift that a campaign should be able to show."""
        wanted = self.holdouts.power.detect
        return self.measurement.detect if wanted is None else wanted

    @property
    def power(self) -> float:
        """With which probability it should."""
        wanted = self.holdouts.power.power
        return self.measurement.power if wanted is None else wanted

    @property
    def relations(self) -> tuple[str, ...]:
        """Every relation of a source that the file reads, such as ``shop.orders``."""
        read = [table.source for _, table in self.tables.items()]
        read += [one.source for one in self.exclusion_lists if one.source is not None]
        read += [self.consent.source] if self.consent is not None else []
        return tuple(read)

    def resolve(self, path: str) -> str:
        """A path of the file as one that the process can open; addresses (``s3://``) stay."""
        return path if "://" in path else str(self.folder / Path(path).expanduser())

    def given(self, campaign: str) -> tuple[str, ...]:
        """Names of the strategies that a campaign may give, its own or of its offers.

        A strategy that gives the best offer of another campaign stands for those, and for what is
        given while none has proved best.
        """
        one = self.campaigns[campaign]
        names = [*one.offers] or ([one.strategy] if one.strategy is not None else [])
        found: list[str] = []
        for name in names:
            strategy = self.strategies.get(name)
            if strategy is None or strategy.best_offer_of is None:
                found.append(name)
                continue
            tried = self.campaigns.get(strategy.best_offer_of)
            found += [*(tried.offers if tried else ()), strategy.otherwise or ""]
        return tuple(dict.fromkeys(name for name in found if name))

    def list_name(self, campaign: str, destination: str) -> str:
        """The name of a campaign's list at a destination; empty where that makes no lists."""
        membership = self.destinations[destination].membership
        values = {
            "project": self.project.name,
            "campaign": campaign,
            "segment": self.campaigns[campaign].segment,
            "strategy": self.campaigns[campaign].strategy or "",
            "destination": destination,
        }
        name = membership.name if membership is not None else ""
        for key, value in values.items():
            name = name.replace(f"{{{key}}}", value)
        return name

    def locate(self, path: KeyPath | str) -> str:
        """Where a key is written, as ``file:line``.

        Args:
            path: Key path, ``("campaigns", "winback", "arms")`` or ``"campaigns.winback.arms"``;
                list items by index. What the file does not spell out is located at the nearest part
                that it does.
        """
        return self._document.locate(path)

    def config_error(self, path: KeyPath | str, message: str, hint: str = "") -> InvalidConfigError:
        """An error about one key that a later stage finds; the caller raises it.

        Args:
            path: As in :meth:`locate`.
            message: What is wrong, without personal data or secrets.
            hint: What to do.
        """
        return InvalidConfigError(
            self._document.name, [self._document.problem(path, message, hint=hint)]
        )
