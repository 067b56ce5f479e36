"""The registry: ids for good, a human's name survives, nothing is used twice."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import ConfigError, ModelError
from connector.models.labels import (
    Label,
    Registry,
    distinct_name,
    read_registry,
    settle,
    slug,
    write_registry,
)
from connector.models.matching import match

DAY, LATER = date(2026, 3, 2), date(2026, 3, 9)
THREE = [["buys on promotion", "small baskets"], ["buys often"], ["large baskets", "rarely opens"]]
SAME = match(np.diag([100, 100, 100]))


def first() -> tuple[tuple[str, ...], Registry]:
    return settle(Registry("personas"), THREE, prefix="c", day=DAY)


def test_a_first_model_gets_ids_and_suggestions() -> None:
    ids, registry = first()
    assert ids == ("c1", "c2", "c3")
    assert [label.shown for label in registry.active] == [
        "buys on promotion, small baskets",
        "buys often",
        "large baskets, rarely opens",
    ]


def test_a_humans_name_survives_a_retrain_that_numbers_otherwise() -> None:
    ids, registry = first()
    text = write_registry(registry).replace("name: ''", "name: deal_hunters", 1)
    named = read_registry(text, model="personas")
    turned = match(np.array([[0, 0, 100], [100, 0, 0], [0, 100, 0]]))
    again, after = settle(
        named, [["else"], ["other"], ["x"]], prefix="c", day=LATER, matching=turned, before=ids
    )
    assert again == ("c2", "c3", "c1")
    assert after == named
    found = after.label("c1")
    assert found is not None
    assert (found.shown, found.key) == ("deal_hunters", "deal_hunters")


def test_no_id_and_no_name_is_used_twice() -> None:
    ids, registry = first()
    gone = match(np.array([[25, 25, 25, 25], [0, 100, 0, 0], [0, 0, 100, 0]]))
    words = [THREE[0], THREE[1], THREE[2], THREE[0]]
    again, after = settle(registry, words, prefix="c", day=LATER, matching=gone, before=ids)
    assert again == ("c4", "c2", "c3", "c5")
    old = after.label("c1")
    assert old is not None
    assert old.retired == LATER
    names = [slug(label.shown) for label in after.labels]
    assert len(set(names)) == len(names) == 5
    assert read_registry(write_registry(after), model="personas") == after


def test_parents_are_kept() -> None:
    ids, registry = first()
    split = match(np.array([[50, 50, 0, 0], [0, 0, 100, 0], [0, 0, 0, 100]]))
    again, after = settle(
        registry,
        [["a", "b"], ["c", "d"], ["e"], ["f"]],
        prefix="c",
        day=LATER,
        matching=split,
        before=ids,
    )
    child = after.label(again[0])
    assert child is not None
    assert child.parents == ("c1",)


def test_an_old_model_that_the_registry_does_not_know_is_refused() -> None:
    with pytest.raises(ModelError, match="c1, c2, c3"):
        settle(
            Registry("personas"),
            THREE,
            prefix="c",
            day=DAY,
            matching=SAME,
            before=("c1", "c2", "c3"),
        )


def test_suggestions_take_more_words_when_two_are_taken() -> None:
    words = ["a lot", "often", "late"]
    assert distinct_name(words, [], otherwise="c9") == "a lot, often"
    assert distinct_name(words, ["A lot, often"], otherwise="c9") == "a lot, often, late"
    taken = ["a lot, often", "a lot, often, late"]
    assert distinct_name(words, taken, otherwise="c9") == "a lot, often (c9)"
    assert distinct_name([], [], otherwise="c9") == "like most people"


def test_the_same_words_in_another_order_are_no_other_name() -> None:
    taken = ["high revenue, high orders"]
    words = ["high orders", "high revenue", "late"]
    assert distinct_name(words, taken, otherwise="c9") == "high orders, high revenue, late"
    assert distinct_name(words[:2], taken, otherwise="c9") == "high orders, high revenue (c9)"


def test_days_are_written_out_each_time() -> None:
    _, registry = settle(Registry("personas"), THREE, prefix="c", day=DAY)
    text = write_registry(registry)
    assert text.count(f"since: {DAY}") == len(THREE)
    assert "&" not in text
    assert "*" not in text


LABELS = st.builds(
    lambda number, name, since, retired: Label(
        f"c{number}", name, f"s{name}", since, retired, ("c1",) if number > 5 else ()
    ),
    st.integers(1, 99),
    st.text("abc _-:#'\"{}äß\U0001f600", min_size=1, max_size=12).map(
        lambda text: "x" + text.strip() + "y"
    ),
    st.dates(),
    st.none() | st.dates(),
)


@given(st.lists(LABELS, unique_by=(lambda x: x.id, lambda x: slug(x.shown)), max_size=6))
def test_reading_undoes_writing(labels: list[Label]) -> None:
    registry = Registry("personas", tuple(labels))
    assert read_registry(write_registry(registry), model="personas") == registry


def test_each_entry_of_the_file_stands_by_itself() -> None:
    """Labels of one fit share a day; a person may delete any of them."""
    day = date(2026, 3, 2)
    labels = tuple(Label(f"c{i}", "", f"word {'abc'[i]}", day) for i in range(3))
    written = write_registry(Registry("personas", labels))
    assert "&" not in written
    assert "*" not in written
    first = written.index("  c0:"), written.index("  c1:")
    left = read_registry(written[: first[0]] + written[first[1] :], model="personas")
    assert left.labels == labels[1:]


def test_no_file_is_an_empty_registry() -> None:
    assert read_registry(" \n", model="personas") == Registry("personas")


HEAD = "model: personas\nlabels:\n"
ONE = "  c1: {name: a, suggested: b, since: 2026-03-02}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: [", "line 1, column 9: this is not YAML"),
        ("- a", "expected the keys"),
        ("model: other\nlabels: {}", "not 'personas'"),
        ("model: personas\nlabels: 3", "expected the keys"),
        (HEAD + ONE + "  first: {}\n", "line 4: 'first' is no label's id"),
        (HEAD + ONE + ONE, "line 4: the label 'c1' stands here a second time"),
        (HEAD + ONE + "  c2: {nam: a}\n", "line 4: a label has the keys"),
        (HEAD + "  c1: {name: 3, since: 2026-03-02}\n", "line 3: a name must be text"),
        (HEAD + "  c1: {name: '17', since: 2026-03-02}\n", "line 3: the name '17' has no letter"),
        (HEAD + "  c1: {name: a, since: 2026-03-02 10:00:00}\n", "line 3: `since`"),
        (HEAD + "  c1: {name: a, since: 2026-03-02, parents: c2}\n", "line 3: `parents`"),
        (HEAD + ONE + "  c2: {name: A, since: 2026-03-02}\n", "line 4: c2 and c1 have the same"),
        (HEAD + ONE + "  c2: {name: c7, since: 2026-03-02}\n", "line 4: the name 'c7' looks like"),
    ],
)
def test_what_people_wrote_wrongly_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_registry(text, model="personas", what="labels/personas.yaml")
    assert message in str(caught.value)
    assert "labels/personas.yaml" in str(caught.value)


def test_yaml_cannot_make_objects() -> None:
    with pytest.raises(ConfigError, match="not YAML"):
        read_registry("!!python/object/apply:os.getcwd []", model="personas")
