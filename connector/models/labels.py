"""The registry of stable labels: which cluster or topic is which, and what people call it.

A small YAML file in the project's repository (``labels/personas.yaml``), so that a name is a change
that is reviewed like any other. Machines write the ids and the suggestions, people write the names;
a retrain keeps both. An id is given once and never again, and neither is a name: segments,
campaigns and last year's reports mean by ``deal_hunters`` the people they meant then.

Only text goes in and comes out here; the file belongs to the pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import yaml

from connector.errors import ConfigError, ModelError
from connector.models.matching import Matching

MAX_CHARACTERS = 1_000_000
"""Largest registry that is read; a thousand labels take about a tenth of it."""

_ID = re.compile(r"[a-z]{1,8}[1-9][0-9]{0,5}")
_FIELDS = ("name", "suggested", "since", "retired", "parents")


@dataclass(frozen=True, slots=True)
class Label:
    """One cluster or topic, for good.

    Attributes:
        id: Such as ``c3``; permanent.
        name: What people call it; empty until somebody names it.
        suggested: What the machine would call it; kept from its first fit on.
        since: The day of the data it was first found in.
        retired: The day it was found no longer; None while it is in use.
        parents: Ids that it came from by a split or a merger.
    """

    id: str
    name: str
    suggested: str
    since: date
    retired: date | None = None
    parents: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The human's name, or the suggestion until there is one."""
        return self.name or self.suggested

    @property
    def key(self) -> str:
        """A column name: the human's name in small letters and underscores, or the id."""
        return slug(self.name) or self.id


@dataclass(frozen=True, slots=True)
class Registry:
    """Every label that a model ever had.

    Attributes:
        model: The model's name in the configuration.
        labels: In the order they were made, retired ones included.
    """

    model: str
    labels: tuple[Label, ...] = ()

    @property
    def active(self) -> tuple[Label, ...]:
        """Those in use."""
        return tuple(label for label in self.labels if label.retired is None)

    def label(self, label_id: str) -> Label | None:
        """The label of that id, retired or not."""
        return next((label for label in self.labels if label.id == label_id), None)

    def shown(self, ids: Sequence[str]) -> tuple[str, ...]:
        """What the labels of these ids are called.

        Raises:
            ModelError: One is not in the registry.
        """
        return tuple(label.shown for label in self.require(ids))

    def require(self, ids: Sequence[str]) -> tuple[Label, ...]:
        """The labels of these ids.

        Raises:
            ModelError: One is not in the registry.
        """
        found = {label.id: label for label in self.labels}
        missing = [label_id for label_id in ids if label_id not in found]
        if missing:
            raise ModelError(
                f"The labels {', '.join(missing)} of the model {self.model!r} are not in its"
                " registry.",
                hint="Bring the registry's file back from version control.",
            )
        return tuple(found[label_id] for label_id in ids)

    def with_lost(self, ids: Sequence[str], names: Sequence[str], day: date) -> Registry:
        """The registry with the labels put back that a model in use has and the file has not.

        An id that somebody deleted must not come back as the id of other people.

        Args:
            ids: Of the model in use.
            names: What its groups are called.
            day: The day of its data.
        """
        known = {label.id for label in self.labels}
        used = {slug(label.shown) for label in self.labels}
        lost = [
            Label(one, "", f"{name} ({one})" if slug(name) in used else name, day)
            for one, name in zip(ids, names, strict=True)
            if one not in known
        ]
        return replace(self, labels=(*self.labels, *lost)) if lost else self

    def next_number(self) -> int:
        """A number that no label of this model ever had."""
        return 1 + max((int(re.sub(r"\D", "", label.id)) for label in self.labels), default=0)


def slug(name: str) -> str:
    """A name as a column: small letters, digits and single underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _words(name: str) -> frozenset[str]:
    """What a name says, in whatever order: "small baskets, buys often" twice confuses."""
    return frozenset(map(slug, name.split(",")))


def distinct_name(contrasts: Sequence[str], taken: Sequence[str], *, otherwise: str) -> str:
    """The fewest contrasts (at least two, where there are two) that nobody has in any order.

    Args:
        contrasts: What sets the group apart, strongest first, such as ``buys on promotion``.
        taken: Names that are or were in use.
        otherwise: Put in brackets behind the words when even all of them are taken.
    """
    used = {_words(name) for name in taken}
    words = list(dict.fromkeys(filter(None, contrasts))) or ["like most people"]
    for n in range(min(2, len(words)), len(words) + 1):
        name = ", ".join(words[:n])
        if _words(name) not in used:
            return name
    return f"{', '.join(words[:2])} ({otherwise})"


def settle(
    registry: Registry,
    contrasts: Sequence[Sequence[str]],
    *,
    prefix: str,
    day: date,
    matching: Matching | None = None,
    before: Sequence[str] = (),
) -> tuple[tuple[str, ...], Registry]:
    """Give every group of a new model its label.

    Args:
        registry: What is known so far.
        contrasts: For each new group what sets it apart, strongest first.
        prefix: Letter of new ids, such as ``c``.
        day: The day of the model's data.
        matching: How the new groups follow from the old ones; None for a first fit.
        before: Ids of the old groups, in the old model's order.

    Returns:
        The id of each new group, and the registry with the new labels added and those without an
        heir retired.

    Raises:
        ModelError: The old model has an id that the registry does not know.
    """
    registry.require(before)
    labels = {label.id: label for label in registry.labels}
    number = registry.next_number()
    ids = []
    for j, words in enumerate(contrasts):
        heir = matching.heirs[j] if matching else None
        if heir is not None:
            ids.append(before[heir])
            continue
        label_id = f"{prefix}{number}"
        number += 1
        taken = [name for label in labels.values() for name in (label.name, label.suggested)]
        labels[label_id] = Label(
            id=label_id,
            name="",
            suggested=distinct_name(words, taken, otherwise=label_id),
            since=day,
            parents=tuple(before[i] for i in matching.parents[j]) if matching else (),
        )
        ids.append(label_id)
    settled = tuple(
        replace(label, retired=None if label.id in ids else label.retired or day)
        for label in labels.values()
    )
    return tuple(ids), replace(registry, labels=settled)


def write_registry(registry: Registry) -> str:
    """The registry as YAML, the same text for the same registry."""
    body = {
        "model": registry.model,
        "labels": {label.id: _plain(label) for label in registry.labels},
    }
    head = (
        f"# Labels of the model {registry.model}. Write a `name`; it stays with its label through"
        " every retrain.\n# Ids are permanent; `suggested`, `since`, `retired` and `parents` are"
        " written by `liftline train`.\n"
    )
    return head + yaml.dump(
        body, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=100
    )


class _PlainDumper(yaml.SafeDumper):
    """Writes the same day twice rather than a mark and a reference to it."""

    def ignore_aliases(self, data: object) -> bool:
        """Never refer to what was written before."""
        del data
        return True


def _plain(label: Label) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": label.name,
        "suggested": label.suggested,
        "since": label.since,
    }
    if label.retired is not None:
        plain["retired"] = label.retired
    if label.parents:
        plain["parents"] = list(label.parents)
    return plain


def read_registry(text: str, *, model: str, what: str = "the registry of labels") -> Registry:
    """Read a registry that people may have edited.

    Args:
        text: The file's text; empty for a model that has none yet.
        model: The model's name in the configuration.
        what: The file's name, for messages.

    Raises:
        ConfigError: It is not YAML, of another shape or another model, an id is impossible or
            doubled, or two labels (retired ones included) have one name; the message names the
            line.
    """
    if not text.strip():
        return Registry(model)
    lines, data = _load(text, what)
    if data.get("model") != model:
        raise ConfigError(
            f"{what}: its `model` is not {model!r}.",
            hint="Give each model a registry of its own.",
        )
    entries = data.get("labels")
    if not isinstance(entries, dict) or set(data) - {"model", "labels"}:
        raise ConfigError(f"{what}: expected the keys `model` and `labels`.")
    labels = [
        _label(label_id, entry, f"{what}, line {lines.get(str(label_id), 1)}")
        for label_id, entry in entries.items()
    ]
    _check_names(labels, lines, what)
    return Registry(model, tuple(labels))


def _load(text: str, what: str) -> tuple[dict[str, int], dict[Any, Any]]:
    """Line of each label, and the plain data."""
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{what}: larger than {MAX_CHARACTERS:,} characters.")
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{what}{where}: this is not YAML.") from None
    if not isinstance(tree, yaml.MappingNode) or not isinstance(data, dict):
        raise ConfigError(f"{what}: expected the keys `model` and `labels`.")
    lines: dict[str, int] = {}
    for key, value in tree.value:
        if key.value == "labels" and isinstance(value, yaml.MappingNode):
            for inner, _ in value.value:
                line = inner.start_mark.line + 1
                if inner.value in lines:
                    raise ConfigError(
                        f"{what}, line {line}: the label {inner.value!r} stands here a second time."
                    )
                lines[inner.value] = line
    return lines, data


def _label(label_id: object, entry: object, where: str) -> Label:
    """One label of the file."""
    if not isinstance(label_id, str) or not _ID.fullmatch(label_id):
        raise ConfigError(
            f"{where}: {label_id!r} is no label's id.",
            hint="Ids are written by `liftline train`; change only names.",
        )
    if not isinstance(entry, Mapping) or set(entry) - set(_FIELDS):
        raise ConfigError(f"{where}: a label has the keys {', '.join(_FIELDS)}.")
    name, suggested = entry.get("name") or "", entry.get("suggested") or ""
    since, retired = entry.get("since"), entry.get("retired")
    parents = entry.get("parents") or []
    if not isinstance(name, str) or not isinstance(suggested, str):
        raise ConfigError(f"{where}: a name must be text.", hint="Put it in quotes.")
    if name and not re.search("[a-z]", slug(name)):
        raise ConfigError(f"{where}: the name {name!r} has no letter from a to z.")
    if type(since) is not date or type(retired) not in (date, type(None)):
        raise ConfigError(f"{where}: `since` and `retired` are days such as 2026-03-01.")
    if not isinstance(parents, list) or not all(isinstance(one, str) for one in parents):
        raise ConfigError(f"{where}: `parents` is a list of ids.")
    return Label(label_id, name.strip(), suggested, since, retired, tuple(parents))


def _check_names(labels: Sequence[Label], lines: Mapping[str, int], what: str) -> None:
    """No two labels may be called alike, now or ever."""
    seen: dict[str, Label] = {}
    for label in labels:
        key = slug(label.shown)
        other = seen.setdefault(key, label)
        if key and other is not label:
            raise ConfigError(
                f"{what}, line {lines.get(label.id, 1)}: {label.id} and {other.id} have the same"
                f" name {label.shown!r}.",
                hint="A name belongs to one label for good, retired ones included; choose another.",
            )
        if re.fullmatch(_ID, key) and key != label.id:
            raise ConfigError(
                f"{what}, line {lines.get(label.id, 1)}: the name {label.shown!r} looks like the id"
                " of a label.",
                hint="Choose words.",
            )
