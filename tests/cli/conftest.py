"""A small demo shop, a sandbox HubSpot, and the command line in its folder."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.cli.app import main
from connector.demo import contacts, shop, story
from destinations.sandbox.hubspot import HubSpotSandbox

ROOT = Path(__file__).parents[2]


class Shop:
    """A folder with a small demo shop and its configuration, and the command line in it."""

    def __init__(
        self, folder: Path, sandbox: HubSpotSandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self._patch = monkeypatch
        self.environ = {
            "HUBSPOT_TOKEN": sandbox.token,
            "HUBSPOT_URL": sandbox.url,
            "HOLDOUT_SALT": "a-salt-that-nobody-guesses",
        }
        monkeypatch.chdir(folder)
        for name, value in self.environ.items():
            monkeypatch.setenv(name, value)
        # Test runners give their workers a width; piped output has one of its own.
        monkeypatch.delenv("COLUMNS", raising=False)

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command in this process, as the installed script would."""
        out = io.StringIO()
        self._patch.setattr(sys, "argv", ["liftline", *arguments])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                main()
                left_with = 0
            except SystemExit as leaving:
                left_with = leaving.code
        return self._checked(out.getvalue(), left_with, code)

    def run_wide(self, *arguments: str, columns: int) -> str:
        """Run a command as in a window of a width."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", str(columns))
            return self.run(*arguments)

    def run_process(self, *arguments: str, code: int = 0) -> str:
        """Run a command in a process of its own."""
        result = subprocess.run(
            [sys.executable, "-m", "connector.cli", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return self._checked(result.stdout + result.stderr, result.returncode, code)

    def _checked(self, text: str, left_with: object, code: int) -> str:
        assert left_with == code, text
        assert "Traceback" not in text
        assert "shop-customers.example" not in text
        assert self.sandbox.token not in text
        return text

    def json(self, *arguments: str, code: int = 0):
        return json.loads(self.run(*arguments, "--output", "json", code=code))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    shop.build_shop(
        folder / "shop.duckdb",
        seed=1,
        start=story.OPENED,
        until=story.FIRST_RUN,
        n_customers=1_500,
    )
    text = story.config_text().replace("as_of: now", f"as_of: {story.FIRST_RUN.isoformat()}")
    text = text.replace("per_10s: 190", "per_10s: 1000")
    # A shop this small has nobody to learn from; tests of models have a shop of their own.
    before, _, after = text.partition("  purchase_30d:")
    text = f"{before}\nsegments:{after.partition('segments:')[2]}"
    # Neither are there segments on the scores of those models.
    before, _, after = text.partition("  likely_soon:")
    text = f"{before}\npriority_lists:{after.partition('priority_lists:')[2]}"
    (folder / "liftline.yaml").write_text(text)
    return folder


@pytest.fixture
def here(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    shutil.copytree(built, tmp_path / "shop")
    with HubSpotSandbox(per_10s=10_000) as sandbox:
        account = contacts.account_contents(tmp_path / "shop" / "shop.duckdb", seed=1)
        sandbox.controls.preload_contacts(account.contacts)
        yield Shop(tmp_path / "shop", sandbox, monkeypatch)
