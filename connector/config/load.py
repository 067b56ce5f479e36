"""From a file to a :class:`Config`, or to one error that tells everything that is wrong.

The stages: read the text (lines, YAML's traps), put in variables, validate against the schema,
check names across sections. The last two do not stop at each other: what the schema refuses is left
out, entry by entry, and the rest is checked all the same, so that one slip does not hide the
others.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connector.config.checks import check
from connector.config.checks.draft import Draft
from connector.config.document import Document
from connector.config.environment import Resolver
from connector.config.problems import InvalidConfigError, KeyPath, nearest
from connector.config.reader import parse_document, read_document
from connector.config.root import Config
from connector.config.schema_problems import keys_at, problems_of

_STAND_INS: Mapping[str, Any] = {
    "project": {"name": "project"},
    "sources": {"source": {"type": "csv", "path": "source.csv"}},
    "tables": {
        name: {"from": "source", "columns": {"column": "column"}}
        for name in ("customers", "orders")
    },
    "holdouts": {"assign": {"salt": "salt"}},
}
"""Required sections, for a draft of a file whose own are broken; the checks skip them."""


def load_config(path: str | Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration.

    Args:
        path: The file.
        environ: Where ``${NAME}`` is looked up.

    Raises:
        InvalidConfigError: Whatever is wrong with the file, all of it, without secrets.
    """
    return _configure(read_document(path), environ)


def parse_config(
    text: str, environ: Mapping[str, str] = os.environ, *, name: str = "config.yaml"
) -> Config:
    """Read a configuration from a text, as if it were the file ``name``.

    Raises:
        InvalidConfigError: As :func:`load_config`.
    """
    return _configure(parse_document(text, name), environ)


def _configure(document: Document, environ: Mapping[str, str]) -> Config:
    resolver = Resolver(document, environ)
    content = resolver.resolve(document.content)
    problems = resolver.problems
    try:
        draft = Draft(_config(content, document), document)
    except ValidationError as error:
        told = {problem.path for problem in problems}
        found = problems_of(error, content, document, Config)
        problems += [problem for problem in found if problem.path not in told]
        draft = _salvage(content, document, [problem.path for problem in found])
    problems += check(draft)
    if problems:
        raise InvalidConfigError(document.name, sorted(problems, key=lambda one: one.line))
    return draft.config


def _config(content: Mapping[str, Any], document: Document) -> Config:
    config = Config.model_validate(content)
    config._document = document
    return config


def _salvage(content: Mapping[str, Any], document: Document, paths: list[KeyPath]) -> Draft:
    """What is left of a file without the entries (or whole sections) that hold problems."""
    sections = keys_at(Config, ())
    kept = {section: value for section, value in content.items() if section in sections}
    absent = [section for section in sections if section not in content]
    unknown = {key: nearest(key, absent) for key in content if key not in sections}
    mistyped = {section: key for key, section in unknown.items() if section is not None}
    bad: dict[str, set[str | int]] = {}
    for section, *entry in paths:
        bad.setdefault(str(section), set()).add(entry[0] if entry else "")
    places = {}
    for section, entries in bad.items():
        value = kept.get(section)
        if section not in _BY_ENTRY or "" in entries:
            kept.pop(section, None)
        elif isinstance(value, dict):
            kept[section] = {name: one for name, one in value.items() if name not in entries}
        elif isinstance(value, list):
            places[section] = [i for i in range(len(value)) if i not in entries]
            kept[section] = [value[i] for i in places[section]]
    replaced = {section: item for section, item in _STAND_INS.items() if not kept.get(section)}
    return Draft(
        _config({**kept, **replaced}, document),
        document,
        broken=frozenset({*bad, *mistyped} - set(kept) | set(replaced)),
        mistyped=mistyped,
        places=places,
    )


_BY_ENTRY = frozenset(
    {"sources", "segments", "strategies", "destinations", "campaigns", "metrics"}
    | {"exclusion_lists", "priority_lists"}
)
"""Sections whose entries can be read without each other."""
