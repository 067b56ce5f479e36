"""CSV files: what is in them, who may read them, and that a crash loses nobody."""

from __future__ import annotations

import csv
import hashlib
import stat

import pytest

from connector.domain import Action, Audience, Change, Kind, Level, Outcome
from connector.errors import ConfigError, PermanentError
from connector.ports import Destination, Flushes, ReadsMembers
from destinations.csvfile import CsvFile


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out" / "ads"


@pytest.fixture
def files(folder):
    return CsvFile.from_options("files", {"path": str(folder)})


def member(n, email, action=Action.ADD):
    return Change(n, Kind.MEMBERSHIP, action, f"p{n}", email)


def record(n, email, properties, action=Action.ADD):
    return Change(n, Kind.RECORD, action, f"p{n}", email, properties=properties)


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_offers_what_it_says(files):
    for protocol in (Destination, ReadsMembers, Flushes):
        assert isinstance(files, protocol)


def test_the_files_hold_members_and_properties(files, folder):
    audience = files.ensure_audience("Shop | win back")
    files.push(audience, [member(2, "bob@example.org"), member(1, "ada@example.org")])
    files.push(None, [record(1, "ada@example.org", {"group": "vip", "orders": 3})])
    files.flush()
    assert (folder / f"{audience.audience_id}.csv").read_text() == (
        "email\nada@example.org\nbob@example.org\n"
    )
    assert (folder / "properties.csv").read_text() == "email,group,orders\nada@example.org,vip,3\n"


def test_only_the_owner_may_read_them(files, folder):
    audience = files.ensure_audience("A")
    files.push(audience, [member(1, "ada@example.org")])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 2  # the file and its journal
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files.flush()
    assert [path.name for path in folder.iterdir()] == [f"{audience.audience_id}.csv"]
    assert stat.S_IMODE(next(folder.iterdir()).stat().st_mode) == 0o600


def test_what_was_pushed_survives_a_crash_before_the_flush(files, folder):
    audience = files.ensure_audience("A")
    files.push(audience, [member(1, "ada@example.org"), member(2, "bob@example.org")])
    files.push(audience, [member(2, "bob@example.org", Action.REMOVE)])
    assert rows(folder / f"{audience.audience_id}.csv") == []
    # The process dies here; the next run may have nothing to push.
    afterwards = CsvFile.from_options("files", {"path": str(folder)})
    assert list(afterwards.members(audience)) == ["ada@example.org"]
    afterwards.flush()
    assert rows(folder / f"{audience.audience_id}.csv") == [{"email": "ada@example.org"}]


def test_a_line_torn_off_by_a_crash_spoils_no_other(files, folder):
    audience = files.ensure_audience("A")
    files.push(audience, [member(1, "ada@example.org")])
    journal = folder / f".{audience.audience_id}.journal"
    with journal.open("a") as file:
        file.write('{"key": "torn@exam')
    afterwards = CsvFile.from_options("files", {"path": str(folder)})
    afterwards.push(audience, [member(2, "bob@example.org")])
    again = CsvFile.from_options("files", {"path": str(folder)})
    again.flush()
    assert sorted(again.members(audience)) == ["ada@example.org", "bob@example.org"]


def test_runs_build_on_each_other(folder):
    for n, expected in ((1, ["a1@x.org"]), (2, ["a1@x.org", "a2@x.org"])):
        run = CsvFile.from_options("files", {"path": str(folder)})
        audience = run.ensure_audience("A")
        run.push(audience, [member(1, f"a{n}@x.org")])
        run.flush()
        assert [row["email"] for row in rows(folder / f"{audience.audience_id}.csv")] == expected


def test_the_bytes_depend_on_the_people_alone(tmp_path):
    people = [record(n, f"p{n}@example.org", {"b": n, "a": None}) for n in range(50)]
    contents = []
    for name, batch in (("one", people), ("two", people[::-1])):
        run = CsvFile.from_options("files", {"path": str(tmp_path / name)})
        for start in range(0, 50, 7):
            run.push(None, batch[start : start + 7])
        run.flush()
        run.flush()
        contents.append((tmp_path / name / "properties.csv").read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3+cmd", "'-2+3+cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("'quoted", "''quoted"),
        ("-5", "-5"),
        ("-5.25", "-5.25"),
        ("plain", "plain"),
        ('a "quoted", long\ntext', 'a "quoted", long\ntext'),
        ("Größe", "Größe"),
    ],
)
def test_no_cell_is_a_formula_and_every_value_survives(folder, text, cell):
    for _ in range(3):  # reading back and writing again must not pile up apostrophes
        run = CsvFile.from_options("files", {"path": str(folder)})
        run.push(None, [record(1, "=ada@example.org", {"value": text})])
        run.push(None, [record(2, "bob@example.org", {"other": 1})])
        run.flush()
        found = {row["email"]: row for row in rows(folder / "properties.csv")}
        assert found["'=ada@example.org"]["value"] == cell
        assert set(found) == {"'=ada@example.org", "bob@example.org"}


def test_hashed_addresses_are_nowhere_in_the_folder(folder):
    run = CsvFile.from_options(
        "ads", {"path": str(folder), "hash": {"email": "sha256", "normalise": ["trim", "lower"]}}
    )
    audience = run.ensure_audience("A")
    (result,) = run.push(audience, [member(1, " Ada@Example.org ")])
    digest = hashlib.sha256(b"ada@example.org").hexdigest()
    assert result.record_id == digest
    assert list(run.members(audience)) == [digest]
    assert all("ada" not in path.read_text().lower() for path in folder.iterdir())
    run.flush()
    path = folder / f"{audience.audience_id}.csv"
    assert path.read_text() == f"email_sha256\n{digest}\n"
    run.push(audience, [member(1, "ada@example.org", Action.REMOVE)])
    run.flush()
    assert path.read_text() == "email_sha256\n"


def test_a_changed_identifier_is_refused(files, folder):
    audience = files.ensure_audience("A")
    files.push(audience, [member(1, "ada@example.org")])
    files.flush()
    hashed = CsvFile.from_options("files", {"path": str(folder), "hash": {"email": "sha256"}})
    with pytest.raises(PermanentError, match="email_sha256"):
        hashed.push(audience, [member(2, "bob@example.org")])


def test_names_are_told_apart_and_stay_in_the_folder(files, folder):
    names = ["A|B", "A B", "a-b", "../../escape", "", "x" * 300, "日本"]
    ids = [files.ensure_audience(name).audience_id for name in names]
    assert len(set(ids)) == len(names)
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{one}.csv" for one in ids)


def test_a_file_that_somebody_deleted(files, folder):
    audience = files.ensure_audience("A")
    (folder / f"{audience.audience_id}.csv").unlink()
    assert files.find_audience("A", audience.audience_id) is None
    with pytest.raises(PermanentError, match="does not exist any more"):
        files.push(audience, [member(1, "ada@example.org")])


def test_clearing_and_removing(files, folder):
    files.push(
        None, [record(1, "ada@example.org", {"a": 1, "b": 2}), record(2, "b@x.org", {"a": 1})]
    )
    files.push(None, [record(1, "ada@example.org", {"a": None}, Action.UPDATE)])
    files.push(None, [record(2, "b@x.org", {"a": None}, Action.REMOVE)])
    files.flush()
    assert rows(folder / "properties.csv") == [{"email": "ada@example.org", "a": "", "b": "2"}]


def test_whoever_has_no_property_left_is_in_no_file(files, folder):
    audience = files.ensure_audience("A")
    files.push(audience, [member(1, "ada@example.org"), member(2, "bob@example.org")])
    people = [
        record(1, "ada@example.org", {"a": 1, "b": 2}),
        record(2, "bob@example.org", {"a": 0}),
    ]
    files.push(None, people)
    files.flush()
    files.push(None, [record(1, "ada@example.org", {"a": None, "b": None}, Action.UPDATE)])
    # A crash before the flush: the journal tells the next run.
    again = CsvFile.from_options("files", {"path": str(folder)})
    again.flush()
    assert [row["email"] for row in rows(folder / "properties.csv")] == ["bob@example.org"]
    assert set(again.members(audience)) == {"ada@example.org", "bob@example.org"}


def test_a_row_without_properties_of_an_earlier_version_goes(folder):
    folder.mkdir(parents=True)
    (folder / "properties.csv").write_text("email,a\nada@example.org,\nbob@example.org,1\n")
    files = CsvFile.from_options("files", {"path": str(folder)})
    files.push(None, [record(3, "eve@example.org", {"a": 2})])
    files.flush()
    assert [row["email"] for row in rows(folder / "properties.csv")] == [
        "bob@example.org",
        "eve@example.org",
    ]


def test_a_number_that_is_none_is_rejected_alone(files, folder):
    results = files.push(
        None,
        [record(1, "a@x.org", {"a": float("inf")}), record(2, "b@x.org", {"a": 1})],
    )
    assert {one.change_id: one.outcome for one in results} == {
        1: Outcome.REJECTED,
        2: Outcome.DELIVERED,
    }


def test_check_finds_a_folder_that_cannot_be(tmp_path, files, folder):
    (finding,) = files.check()
    assert finding.level is Level.OK
    assert not folder.exists()
    (tmp_path / "file").write_text("")
    blocked = CsvFile.from_options("files", {"path": str(tmp_path / "file" / "below")})
    (finding,) = blocked.check()
    assert finding.level is Level.ERROR


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"path": ""},
        {"path": "x", "hash": {"email": "md5"}},
        {"path": "x", "hash": {"email": "sha256", "normalise": ["upper"]}},
        {"path": "x", "folder": "y"},
        {"path": "x", "match_on": "Not a name"},
    ],
    ids=str,
)
def test_mistakes_in_the_options(options):
    with pytest.raises(ConfigError, match=r"destinations\.files\."):
        CsvFile.from_options("files", options)


def test_an_audience_of_another_run_is_found_by_its_id(files, folder):
    made = files.ensure_audience("A")
    again = CsvFile.from_options("files", {"path": str(folder)})
    assert again.find_audience("A", made.audience_id) == Audience("A", made.audience_id)
