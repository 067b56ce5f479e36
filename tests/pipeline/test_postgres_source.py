"""A shop whose tables lie in PostgreSQL is understood like the same shop in a file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.config import load_config
from connector.pipeline.check.findings import Vendors, check
from connector.pipeline.project import Project
from connector.pipeline.understand.opening import RESULTS
from tests.pipeline import modelled_shop, small_shop
from tests.pipeline.small_shop import AS_OF

IN_FILE = "shop: {type: duckdb, path: shop.duckdb}"
IN_DATABASE = 'shop: {type: postgres, dsn: "${SHOP_DSN}", schema: SCHEMA}'
TO_HUBSPOT = """\
    type: hubspot
    token: "${HUBSPOT_TOKEN}"
    base_url: BASE_URL
"""
# Files take what HubSpot would, so that a plan can be carried out without a vendor.
CONFIG = small_shop.CONFIG.replace(TO_HUBSPOT, "    type: csv_export\n    path: ./out\n").replace(
    "holdouts:", "guards: {needs_approval: {first_sync: false}, additions_above: 100%}\nholdouts:"
)
LISTS = "exclusion_lists:\n"
ELSEWHERE = LISTS + "  - {name: elsewhere, from: elsewhere, key: email}\n"

# Two kinds are enough here: one that reads earlier instants, and one that reads today's features.
_head, _, _tail = modelled_shop.CONFIG.partition("  clv:\n")
_personas, _rest = (_tail[_tail.index(key) :] for key in ("  personas:", "segments:"))
MODELLED = _head + _personas[: _personas.index("  affinity:")] + _rest
MODELLED = MODELLED.replace("clv.tier in ('platinum', 'gold')", "revenue_365d > 200")


def open_project(folder: Path, text: str, *, dsn: str = "unused", now: datetime = AS_OF) -> Project:
    folder.mkdir()
    (folder / "liftline.yaml").write_text(text.replace("shop.duckdb", "../shop.duckdb"))
    environ = {"HOLDOUT_SALT": "canary-salt", "SALT": "canary-salt", "SHOP_DSN": dsn}
    config = load_config(folder / "liftline.yaml", environ)
    return Project(config, clock=lambda: now, identity_key="a-key")


def move(file: Path, dsn: str, schema: str) -> str:
    """Put the tables of a file into a schema; the source that they are then."""
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi")
    with (
        dbapi.connect(dsn, autocommit=True) as session,
        duckdb.connect(str(file), read_only=True) as shop,
    ):
        with session.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {schema}")
        for (table,) in shop.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            with session.cursor() as cursor:
                data = shop.table(table).to_arrow_table()
                cursor.adbc_ingest(table, data, mode="create", db_schema_name=schema)
    return IN_DATABASE.replace("SCHEMA", schema)


def understood(project: Project, *, in_database: bool) -> dict[str, Any]:
    with project, project.workspace() as workspace:
        assert (workspace.database is not None) is in_database
        found = project.understand(workspace)
        return {
            "columns": found.columns,
            "quality": found.quality,
            "findings": found.findings,
            "models": {name: model.version for name, model in found.scores.models.items()},
            "types": {name: workspace.columns(name) for name in RESULTS if name in RELATIONS},
            **{name: rows(workspace.connection, name) for name in RELATIONS},
        }


RELATIONS = tuple(name for name, columns in RESULTS.items() if not columns)


def rows(con: duckdb.DuckDBPyConnection, name: str) -> list[tuple[Any, ...]]:
    return sorted(con.execute(f"SELECT * FROM {name}").fetchall(), key=repr)


def planned(project: Project) -> tuple[pa.Table, dict[str, Any]]:
    """Everything that is decided, and the figures beside it."""
    plan = project.plan()
    changes = pq.read_table(plan.changes_path)
    order = [(name, "ascending") for name in changes.column_names]
    header = plan.header
    scores = pq.read_table(plan.folder / "published" / "scores.parquet")
    return changes.sort_by(order), {
        "segments": header.segments,
        "audiences": header.audiences,
        "campaigns": header.campaigns,
        "guards": header.guards,
        "scores": scores.sort_by("profile_id").to_pylist(),
    }


def test_a_plan_is_the_same_wherever_it_is_made(tmp_path: Path, postgres_server: str) -> None:
    small_shop.build(tmp_path, n=300)
    (tmp_path / "elsewhere.csv").write_text("email\nnobody@else.example\n")
    source = move(tmp_path / "shop.duckdb", postgres_server, "small")
    texts = {
        "file": CONFIG,
        "database": CONFIG.replace(IN_FILE, source),
        # With a table elsewhere those of the database are copied.
        "copied": CONFIG.replace(
            IN_FILE, f"{source}\n  elsewhere: {{type: csv, path: ../elsewhere.csv}}"
        ).replace(LISTS, ELSEWHERE),
    }
    found = {}
    for way, text in texts.items():
        with open_project(tmp_path / way, text, dsn=postgres_server) as project:
            with project.workspace() as workspace:
                assert (workspace.database is not None) is (way == "database")
            changes, figures = planned(project)
            assert changes.num_rows > 100
            # It asks the sources once more whether each of them may be written to.
            assert project.apply(approved={"all"}, approver="test").status == "succeeded"
            assert project.plan().header.n_changes == 0
            found[way] = changes, figures
    for way in ("database", "copied"):
        assert found[way][1] == found["file"][1], way
        assert found[way][0].equals(found["file"][0]), way


@pytest.mark.parametrize(
    ("shop", "text", "schema"),
    [
        (small_shop, CONFIG, "simple"),
        (modelled_shop, MODELLED, "modelled"),
    ],
)
def test_a_database_is_understood_like_a_file(
    tmp_path: Path, postgres_server: str, shop: Any, text: str, schema: str
) -> None:
    shop.build(tmp_path, n=300)
    source = move(tmp_path / "shop.duckdb", postgres_server, schema)
    expected = understood(open_project(tmp_path / "file", text), in_database=False)
    project = open_project(
        tmp_path / "database", text.replace(IN_FILE, source), dsn=postgres_server
    )
    found = understood(project, in_database=True)
    assert len(expected["scored"]) > 200
    assert set(expected["models"]) == (
        {"purchase_30d", "personas"} if shop is modelled_shop else set()
    )
    for what, value in expected.items():
        assert found[what] == value, what


def test_check_says_what_keeps_a_database_from_being_read(tmp_path: Path) -> None:
    text = CONFIG.replace(IN_FILE, IN_DATABASE.replace("SCHEMA", "small"))
    away = "postgresql://jane:s3cret@127.0.0.1:1/shop"
    with open_project(tmp_path / "p", text, dsn=away) as project:
        findings = check(project, vendors=Vendors.LEAVE).findings
    (problem,) = [one for one in findings if one.subject == "sources.shop"]
    assert "source shop: The database cannot be reached" in problem.message
    assert "s3cret" not in repr(findings)
