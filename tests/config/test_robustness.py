"""Whatever happens to a good file, it loads or is explained; it never crashes and never leaks."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connector.config import Config, InvalidConfigError, lint, parse_config
from tests.config.shop import ENVIRON, FULL

CONTENT = yaml.safe_load(
    FULL.replace("2026-03-02", "'2026-03-02'").replace("2026-06-30", "'2026-06-30'")
)

Path = tuple[str | int, ...]


def paths(value: object, path: Path = ()) -> list[Path]:
    """Every place in nested content, except the top."""
    items: list[tuple[Any, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    found: list[Path] = []
    for key, item in items:
        found += [(*path, key), *paths(item, (*path, key))]
    return found


WORDS = [
    "rfm.champions",
    "champions",
    "at_risk",
    "now",
    "5%",
    "30d",
    "4-5",
    "none",
    "${X}",
    "${HUBSPOT_TOKEN}",
    "shop.customers",
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS),
    st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=8),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*WORDS, "name", "a"]), inner, max_size=3)
    ),
    max_leaves=4,
)


def outcome(text: str) -> Config | InvalidConfigError:
    """What becomes of a text; anything but these two fails the test."""
    try:
        result: Config | InvalidConfigError = parse_config(text, ENVIRON)
    except InvalidConfigError as error:
        result = error
    assert "canary" not in repr(result)
    assert "canary" not in str(result)
    if isinstance(result, InvalidConfigError):
        assert result.problems
        assert str(result)
    else:
        lint(result)
        assert len(result.digest) == 64
        assert all(result.locate(path).startswith("config.yaml:") for path in paths(CONTENT))
    return result


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_change_of_content(data: st.DataObject) -> None:
    content = copy.deepcopy(CONTENT)
    for _ in range(data.draw(st.integers(1, 3), label="n_changes")):
        everywhere = paths(content)
        if not everywhere:
            break
        path = data.draw(st.sampled_from(everywhere), label="path")
        parent = content
        for part in path[:-1]:
            parent = parent[part]
        kind = data.draw(st.sampled_from(["delete", "rename", "replace"]), label="kind")
        if kind == "delete":
            del parent[path[-1]]
        elif kind == "rename" and isinstance(parent, dict):
            parent[str(path[-1]) + data.draw(st.sampled_from(["s", "_", " ", "-x", "é"]))] = (
                parent.pop(path[-1])
            )
        else:
            parent[path[-1]] = data.draw(VALUES, label="value")
    outcome(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, len(FULL)),
    st.integers(0, 6),
    st.text("{}[]:,#&*!|>'\"%@`-? \n\t$ax0", max_size=4),
)
@example(0, 0, "\n")
def test_any_change_of_text(at: int, n_deleted: int, inserted: str) -> None:
    outcome(FULL[:at] + inserted + FULL[at + n_deleted :])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    assert isinstance(outcome(text), InvalidConfigError)
