"""The structure holds: layers, quick start, documented names, and a README that tells the truth."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HEAVY = PYPROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_layers_are_kept() -> None:
    result = run("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


def test_help_loads_nothing_heavy() -> None:
    heavy = [*HEAVY, "rich", "pydantic", "yaml"]
    code = f"import connector.cli, sys; print([m for m in {heavy!r} if m in sys.modules])"
    result = run("-c", code)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def commands() -> list[str]:
    result = run("-m", "connector.cli", "--help")
    section = result.stdout.split("Commands:")[1]
    return re.findall(r"^  ([a-z]+)  ", section, flags=re.MULTILINE)


def test_the_readme_knows_every_command_and_no_other() -> None:
    text = (ROOT / "README.md").read_text()
    pairs = re.findall(r"`(?:liftline )?([a-z]+)`|^liftline ([a-z]+)", text, flags=re.MULTILINE)
    words = {word for pair in pairs for word in pair if word}
    assert set(commands()) <= words
    assert set(re.findall(r"^liftline ([a-z]+)", text, flags=re.MULTILINE)) <= set(commands())


def test_the_readmes_first_commands_are_make_targets() -> None:
    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    first_screen = "\n".join(text.splitlines()[:40])
    assert {"make demo", "make test"} <= set(re.findall(r"make [a-z]+", first_screen))
    assert set(re.findall(r"`make ([a-z]+)`", text)) <= targets


def test_the_readmes_configuration_loads() -> None:
    from connector.config import parse_config

    text = (ROOT / "README.md").read_text()
    block = text.split("```yaml\n", 1)[1].split("```", 1)[0]
    config = parse_config(block, {"HUBSPOT_TOKEN": "t", "HOLDOUT_SALT": "s"})
    assert list(config.campaigns) == ["winback"]
    assert len(block.strip().splitlines()) <= 30


def test_the_readmes_exit_codes_are_the_programs() -> None:
    from connector import errors

    codes = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.LiftlineError)
    } | {0, 2, errors.EXIT_WITH_REJECTIONS}
    text = (ROOT / "README.md").read_text()
    table = text.split("## Exit codes")[1].split("## How")[0]
    documented = {int(n) for n in re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE)}
    assert documented == codes | {130}  # 130: interrupted from the keyboard


@pytest.mark.parametrize("package", ["connector", "destinations"])
def test_every_public_name_says_what_it_is(package: str) -> None:
    silent = []
    for path in (ROOT / package).rglob("*.py"):
        if "migrations/versions" in path.as_posix():
            continue
        tree = ast.parse(path.read_text())
        nodes = [
            (path.name, tree),
            *((n.name, n) for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)),
        ]
        silent += [
            f"{path.relative_to(ROOT)}: {name}"
            for name, node in nodes
            if not name.startswith("_") and ast.get_docstring(node) is None
        ]
    assert silent == []


def test_every_dependency_is_pinned() -> None:
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    wanted = PYPROJECT["project"]["dependencies"] + [
        one for extra in PYPROJECT["project"]["optional-dependencies"].values() for one in extra
    ]
    names = {re.match(r"[A-Za-z0-9-]+", one).group().lower() for one in wanted} - {"liftline"}
    assert names <= pinned
    assert "://" not in (ROOT / "constraints.txt").read_text()


def test_the_entry_points_are_there() -> None:
    for target in PYPROJECT["project"]["entry-points"]["liftline.destinations"].values():
        module, name = target.split(":")
        assert run("-c", f"from {module} import {name}").returncode == 0
