"""YAML's traps: what is read as people mean it, and what is refused with a reason."""

# ruff: noqa: E501 - messages are kept in one piece

from __future__ import annotations

from pathlib import Path

import pytest

from connector.config import InvalidConfigError
from connector.config.reader import MAX_BYTES, MAX_VALUES, parse_document, read_document

SECTIONS = "sections, such as `project:` and `sources:`"
ALIAS = "Write the value out; a text that begins with * needs quotes."
ANCHOR = "Write values out; a text that begins with & needs quotes."
TAG = "Leave it out; a text that begins with ! needs quotes."
BLOCK = "Lines of one block begin in the same column; values with quotes end there."
COLON = "a second colon in one line, or a line indented too far. Put a text with a colon in quotes, or mend the indentation."

REFUSED = [
    ("", f"t.yaml: the file is empty; allowed: {SECTIONS}."),
    ("# only a comment\n", f"t.yaml: the file is empty; allowed: {SECTIONS}."),
    ("- a\n- b\n", f"t.yaml: the file holds a list; allowed: {SECTIONS}."),
    ("just text\n", f"t.yaml: the file holds 'just text'; allowed: {SECTIONS}."),
    (
        "a: 1\nb: 2\na: 3\n",
        "t.yaml:3: a: the key is given twice, first in line 1. Keep one of them.",
    ),
    (
        "a: {b: 1, b: 2}\n",
        "t.yaml:1: a.b: the key is given twice, first in line 1. Keep one of them.",
    ),
    (
        "a: {token: ${HUBSPOT_TOKEN}, b: 1}\n",
        't.yaml:1: a.token: ${HUBSPOT_TOKEN} without quotes breaks YAML inside {...} and [...]; allowed: "${HUBSPOT_TOKEN}", in quotes.',
    ),
    (
        "a:\n  b: [${X}/orders.csv]\n",
        't.yaml:2: a.b: ${X} without quotes breaks YAML inside {...} and [...]; allowed: "${X}", in quotes.',
    ),
    (
        "a: {subject: {{ name }}}\n",
        "t.yaml:1: a key is a mapping or a list. A text that begins with { or [ needs quotes.",
    ),
    ("a:\n\tb: 1\n", "t.yaml:2: a tab where YAML wants spaces. Indent with spaces."),
    ("a: offer: 15\n", f"t.yaml:1: {COLON}"),
    ("a: 1\n  b: 2\n", f"t.yaml:2: {COLON}"),
    ("a: *x\n", f"t.yaml:1: an alias (*x) is not read. {ALIAS}"),
    ("a: &x 1\nb: *x\n", f"t.yaml:1: an anchor (&x) is not read. {ANCHOR}"),
    ("a: [*@example.com]\n", "t.yaml:1: a text that begins with * or &. Put it in quotes."),
    ("a: 1\n<<: {b: 1}\n", "t.yaml:2: a merge key (<<) is not read. Write the keys out."),
    ("a: !x 1\n", f"t.yaml:1: a YAML tag (!x) is not read. {TAG}"),
    (
        "a: !!python/object/apply:os.system [ls]\n",
        f"t.yaml:1: a YAML tag (tag:yaml.org,2002:python/object/apply:os.system) is not read. {TAG}",
    ),
    ("a: 1\nb: %off\n", "t.yaml:2: a value cannot begin with %. Put the text in quotes."),
    ("a: @home\n", "t.yaml:1: a value cannot begin with @. Put the text in quotes."),
    ("a: `x`\n", "t.yaml:1: a value cannot begin with `. Put the text in quotes."),
    ("b: 1\na: 'open\nc: 1\n", "t.yaml:2: a quote is opened and never closed. Close it."),
    (
        "a: {b: 1\nc: 2\n",
        "t.yaml:2: the {...} that begins in line 1 is not closed, or lacks a comma. Text with { } [ ] or , inside needs quotes.",
    ),
    (
        "a: [1, 2\n",
        "t.yaml:2: the [...] that begins in line 1 is not closed, or lacks a comma. Text with { } [ ] or , inside needs quotes.",
    ),
    (
        "a:\n  b: 1\n c: 2\n",
        f"t.yaml:3: a line that does not fit the block that begins in line 1. {BLOCK}",
    ),
    (
        "a: 'it' fine\n",
        f"t.yaml:1: a line that does not fit the block that begins in line 1. {BLOCK}",
    ),
    ("a: 1\nnothing\nb: 2\n", "t.yaml:2: a line without a colon after its key. Write key: value."),
    ("a: 1\n---\nb: 2\n", "t.yaml:2: a second document begins (---). Keep one document per file."),
    (
        "? [a, b]\n: 1\n",
        "t.yaml:1: a key is a mapping or a list. A text that begins with { or [ needs quotes.",
    ),
    ("a: \x07\n", "t.yaml:1: a control character that YAML does not allow."),
    ('a: 1\nb: "\\u001b[2J"\n', "t.yaml:2: a control character stands in a text."),
    ('a: "\\ud800"\n', "t.yaml:1: a control character stands in a text."),
    ("a: " + "[" * 100_000, "t.yaml:1: more than 24 levels of nesting."),
    (
        "a: [" + "1," * (MAX_VALUES + 1) + "]",
        f"t.yaml:1: the file holds more than {MAX_VALUES:,} values.",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[repr(case[0][:30]) for case in REFUSED])
def test_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        parse_document(text, "t.yaml")
    assert str(caught.value) == message


READ = [
    # what YAML 1.1 reads as booleans is text
    (
        "a: {country: NO, on: yes, off: y, b: On}",
        {"a": {"country": "NO", "on": "yes", "off": "y", "b": "On"}},
    ),
    ("a: [true, True, FALSE, tRUE]", {"a": [True, True, False, "tRUE"]}),
    ("true: 1\nnull: 2\n3: 4\n", {"true": 1, "null": 2, "3": 4}),
    (
        "a: [null, ~, Null, NULL, , 'null']".replace(", ,", ","),
        {"a": [None, None, None, None, "null"]},
    ),
    ("a:\nb: ''\n", {"a": None, "b": ""}),
    # only plain decimal numbers are numbers: no octal, no sexagesimal, no underscores
    (
        "a: [012, 0o17, 0x1F, 1_000, 12:30:45, 1:30, +7, -0, 0.5, 1e3, .5, 1., .inf, .nan]",
        {
            "a": [
                "012",
                "0o17",
                "0x1F",
                "1_000",
                "12:30:45",
                "1:30",
                7,
                0,
                0.5,
                1000.0,
                ".5",
                "1.",
                ".inf",
                ".nan",
            ]
        },
    ),
    ("a: [2026-03-02, 5%, 4-5, 30d]", {"a": ["2026-03-02", "5%", "4-5", "30d"]}),
    ("a: 123456789012345678901234567890", {"a": "123456789012345678901234567890"}),
    ('a: ["5", \'true\', "null"]', {"a": ["5", "true", "null"]}),
    ('a: ${X}\nb: "${Y}"\n', {"a": "${X}", "b": "${Y}"}),
    ("a: |\n  one\n  two\nb: >\n  one\n  two\n", {"a": "one\ntwo\n", "b": "one two\n"}),
    ("\ufeffa: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
]


@pytest.mark.parametrize(("text", "content"), READ, ids=[repr(case[0][:30]) for case in READ])
def test_read_as_meant(text: str, content: dict[str, object]) -> None:
    read = parse_document(text).content
    assert read == content
    assert repr(read) == repr(content)  # 1 is not True, 1000 is not 1000.0


def test_duplicates_are_told_together() -> None:
    with pytest.raises(InvalidConfigError) as caught:
        parse_document("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n", "t.yaml")
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [
        (2, ("a",)),
        (5, ("b", "c")),
    ]


def test_every_key_and_item_has_its_line() -> None:
    document = parse_document("a:\n  b: 1\n  c:\n    - x\n    - {d: 1,\n       e: 2}\n", "t.yaml")
    assert document.lines == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
        ("a", "c", 1, "d"): 5,
        ("a", "c", 1, "e"): 6,
    }
    assert document.locate("a.c[1].e") == "t.yaml:6"
    assert document.locate("a.c.1.e") == "t.yaml:6"
    assert document.locate(("a", "c", 1, "unwritten")) == "t.yaml:5"
    assert document.locate("unwritten") == "t.yaml:1"


def unreadable(path: Path) -> str:
    with pytest.raises(InvalidConfigError) as caught:
        read_document(path)
    return str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    assert (
        unreadable(path) == f"{path}: there is no such file. Name the configuration with --config."
    )
    assert unreadable(tmp_path) == f"{tmp_path}: is a folder, not a file."
    path.write_bytes("a: 1\nb: über\n".encode("latin-1"))
    assert unreadable(path) == f"{path}:2: is not UTF-8 text. Save the file as UTF-8."
    path.write_bytes(b"a: 1\n" + b"#" * MAX_BYTES)
    assert (
        unreadable(path) == f"{path}: is larger than {MAX_BYTES:,} bytes; a configuration never is."
    )
    assert unreadable(Path("a\0b")) == "a\0b: cannot be read: not a file name."


def test_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_document(path).content == {"a": 1}
