"""A shop whose tables lie in PostgreSQL is understood like the same shop in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from connector.config import load_config
from connector.pipeline.check import Vendors, check
from connector.pipeline.project import Project
from tests.pipeline.small_shop import AS_OF, CONFIG, build

DATABASE = 'shop: {type: postgres, dsn: "${SHOP_DSN}", schema: small}'


def open_project(folder: Path, text: str, dsn: str) -> Project:
    folder.mkdir()
    (folder / "liftline.yaml").write_text(text.replace("BASE_URL", "http://127.0.0.1:1"))
    environ = {"HUBSPOT_TOKEN": "t", "HOLDOUT_SALT": "canary-salt-of-a-shop", "SHOP_DSN": dsn}
    config = load_config(folder / "liftline.yaml", environ)
    return Project(config, clock=lambda: AS_OF, identity_key="a-key")


def understood(project: Project) -> dict[str, Any]:
    with project, project.workspace() as workspace:
        found = project.understand(workspace)
        rows = {
            relation: sorted(workspace.rows(f"SELECT * FROM {relation} AS r"), key=repr)
            for relation in ("scored", "permissions", "exclusions", "segment_members")
        }
        return {**rows, "columns": found.columns, "quality": found.quality}


def test_a_database_is_understood_like_a_file(tmp_path: Path, postgres_server: str) -> None:
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi")
    build(tmp_path, n=300)
    with (
        dbapi.connect(postgres_server, autocommit=True) as session,
        duckdb.connect(str(tmp_path / "shop.duckdb"), read_only=True) as shop,
    ):
        with session.cursor() as cursor:
            cursor.execute("CREATE SCHEMA small")
        for (table,) in shop.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            with session.cursor() as cursor:
                data = shop.table(table).to_arrow_table()
                cursor.adbc_ingest(table, data, mode="create", db_schema_name="small")
    in_file = CONFIG.replace("path: shop.duckdb", "path: ../shop.duckdb")
    in_database = CONFIG.replace("shop: {type: duckdb, path: shop.duckdb}", DATABASE)
    expected = understood(open_project(tmp_path / "file", in_file, "unused"))
    found = understood(open_project(tmp_path / "database", in_database, postgres_server))
    assert len(expected["scored"]) > 200
    for what, value in expected.items():
        assert found[what] == value, what


def test_check_says_what_keeps_a_database_from_being_read(tmp_path: Path) -> None:
    text = CONFIG.replace("shop: {type: duckdb, path: shop.duckdb}", DATABASE)
    away = "postgresql://jane:s3cret@127.0.0.1:1/shop"
    with open_project(tmp_path / "p", text, away) as project:
        findings = check(project, vendors=Vendors.LEAVE).findings
    (problem,) = [one for one in findings if one.subject == "sources.shop"]
    assert "source shop: The database cannot be reached" in problem.message
    assert "s3cret" not in repr(findings)
