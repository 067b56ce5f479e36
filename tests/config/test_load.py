"""Good files: what they become, and what is known of them afterwards."""

# ruff: noqa: E501 - messages are kept in one piece

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from connector.config import Config, InvalidConfigError, load_config, parse_config
from connector.config.data import PostgresSource
from connector.config.problems import MAX_LISTED
from connector.domain import Arm, Rate
from connector.errors import ConfigError
from connector.models.groups import Span
from tests.config.shop import ENVIRON, FULL, MINIMAL, broken, message_of

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


@pytest.fixture
def full() -> Config:
    return parse_config(FULL, ENVIRON, name="folder/shop.yaml")


def test_thirty_lines_are_enough() -> None:
    assert len(MINIMAL.splitlines()) <= 30
    config = parse_config(MINIMAL, ENVIRON)
    vip = config.campaigns["vip"]
    assert vip.to == ("hubspot",)
    assert vip.arms == {Arm.TREATMENT: 0.9, Arm.NO_CONTACT: 0.1}
    assert vip.goal in config.metrics
    assert config.models.rfm.shape == (5, 5, 5)
    assert config.project.instant(datetime(2026, 3, 1, 12, tzinfo=UTC)).hour == 12
    assert config.guards.plan_max_age == timedelta(hours=24)


def test_the_example_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    config = load_config(EXAMPLE)
    assert set(config.campaigns) == {"winback", "vip", "second_order", "nurture"}
    assert config.campaigns["second_order"].arms[Arm.BUSINESS_AS_USUAL] == 0.1
    assert config.resolve(config.sources["shop"].path) == str(EXAMPLE.parent / "demo/shop.duckdb")


def test_values_have_their_types(full: Config) -> None:
    winback, hubspot = full.campaigns["winback"], full.destinations["hubspot"]
    assert winback.start == date(2026, 3, 2)
    assert winback.budget is not None
    assert winback.budget.per_run == Decimal(900)
    assert full.strategies["win_back"].cost_per_contact == Decimal("0.02")
    assert full.tables.customers.tests[1].kind == "valid_email"
    assert full.tables.customers.tests[1].test.warn_above == 0.01
    assert full.tables.customers.freshness is not None
    assert full.tables.customers.freshness.warn_after == timedelta(hours=26)
    assert full.models.rfm.groups[1].r == Span(1, 2)
    assert full.models.rfm.window == timedelta(days=730)
    assert hubspot.requires is not None
    assert hubspot.requires.purpose == "marketing"
    assert full.destinations["lake"].requires is None
    assert hubspot.rates == (Rate(190, 10.0),)
    assert hubspot.adapter_options() == {
        "match_on": "email",
        "create_missing": False,
        "rate_limit": {"per_10s": 190},
        "token": "canary-token-1",
    }
    assert [name for name, _ in full.tables.items()] == ["customers", "orders"]
    (held,) = full.holdouts.global_
    assert held.share == 0.05


@pytest.mark.parametrize(
    ("written", "oldest"),
    [
        ("", timedelta(days=7)),
        ("reconcile_every: 36h", timedelta(hours=36)),
        ("reconcile_every: every_run", timedelta(0)),
        ("reconcile_every: never", None),
    ],
)
def test_how_often_lists_are_read_again(written: str, oldest: timedelta | None) -> None:
    config = parse_config(broken("{per_10s: 190}", f"{{per_10s: 190}}\n    {written}"), ENVIRON)
    assert config.destinations["hubspot"].oldest_reading == oldest
    assert "reconcile_every" not in config.destinations["hubspot"].options


@pytest.mark.parametrize(
    ("written", "expected"),
    [("30d", 30 * 86400), ("26h", 26 * 3600), ("90m", 5400), ("2w", 14 * 86400)],
)
def test_durations(written: str, expected: int) -> None:
    config = parse_config(
        broken("warn_after: 26h", f"warn_after: {written}, error_after: 90d").replace(
            ", error_after: 50h", ""
        ),
        ENVIRON,
    )
    freshness = config.tables.customers.freshness
    assert freshness is not None
    assert freshness.warn_after == timedelta(seconds=expected)


def test_arms_add_up_exactly() -> None:
    thirds = "{treatment: 33.3%, business_as_usual: 33.3%, no_contact: 33.4%}"
    old = "{treatment: 85%, business_as_usual: 5%, no_contact: 10%}"
    assert parse_config(broken(old, thirds), ENVIRON)
    said = message_of(broken(old, thirds.replace("33.4%", "33.39%")))
    assert said == "shop.yaml:66: campaigns.winback.arms: the arms add up to 99.99%; allowed: 100%."


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("now", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 2, 28, 23, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-03-01T06:00:00+01:00", datetime(2026, 3, 1, 5, tzinfo=UTC)),
        ("2026-03-01T06:00:00", datetime(2026, 3, 1, 5, tzinfo=UTC)),
        ('"2026-03-01 06:00"', datetime(2026, 3, 1, 5, tzinfo=UTC)),
    ],
)
def test_as_of_is_an_instant_in_the_project_s_zone(written: str, instant: datetime) -> None:
    config = parse_config(broken("as_of: now", f"as_of: {written}"), ENVIRON)
    assert config.project.instant(datetime(2026, 7, 1, 10, tzinfo=UTC)) == instant


def test_nothing_can_be_changed(full: Config) -> None:
    with pytest.raises(ValidationError):
        full.project.name = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        full.campaigns["vip"].epoch = 2  # type: ignore[misc]


# ------------------------------------------------------------------ problems together


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    text = FULL.replace("Europe/Berlin", "Europe/Berln")  # schema
    text = text.replace("from: rfm.champions,", "from: rfm.champion,")  # reference
    text = text.replace(
        "segment: at_risk\n", "segment: at_risk\n    sgment: x\n"
    )  # entry unreadable
    text = text.replace(
        "no_contact: 10%}\n    properties", "no_contact: 11%}\n    properties"
    )  # law
    with pytest.raises(InvalidConfigError) as caught:
        parse_config(text, {"HOLDOUT_SALT": "x"})  # variable
    assert [(problem.line, problem.path[-1]) for problem in caught.value.problems] == [
        (4, "timezone"),
        (44, "from"),
        (55, "token"),
        (64, "sgment"),
        (78, "arms"),
    ]
    assert isinstance(caught.value, ConfigError)
    assert caught.value.exit_code == 3


def test_an_unreadable_entry_is_not_blamed_on_those_who_name_it() -> None:
    text = broken("  reward: {offer: early_access}", "  reward: {ofer: early_access}")
    assert message_of(text) == (
        "shop.yaml:51: strategies.reward.ofer: unknown key; allowed: objective, offer, cost_per_contact,"
        " cost_per_redemption, content, best_offer_of, otherwise. Did you mean 'offer'?"
    )


def test_a_mistyped_section_is_not_blamed_on_those_who_name_its_entries() -> None:
    text = broken("segments:\n", "segment:\n")
    assert message_of(text).startswith("shop.yaml:43: segment: unknown key; allowed: version,")
    assert message_of(text).endswith("Did you mean 'segments'?")
    assert "\n" not in message_of(text)


def test_the_list_of_problems_ends_somewhere() -> None:
    text = FULL + "".join(f"zz{i}: 1\n" for i in range(MAX_LISTED + 5))
    with pytest.raises(InvalidConfigError) as caught:
        parse_config(text, ENVIRON)
    assert len(caught.value.problems) == MAX_LISTED + 5
    assert str(caught.value).startswith(f"{MAX_LISTED + 5} problems in config.yaml:\n")
    assert str(caught.value).endswith("\n  and 5 more")


# ------------------------------------------------------------------ digest and lines


def test_the_digest_ignores_comments_order_and_style() -> None:
    one = parse_config(FULL, ENVIRON).digest
    lines = FULL.splitlines(keepends=True)
    report = lines.pop()
    assert report.startswith("report:")
    shuffled = (
        "# a comment\n"
        + report.replace("{out: ./out/report.html}", "\n  out: './out/report.html'")
        + "".join(lines)
    )
    shuffled = shuffled.replace(
        "{name: champions, r: 4-5, f: 4-5, m: 4-5}", "{m: 4-5, f: 4-5, r: 4-5, name: champions}"
    )
    assert parse_config(shuffled, ENVIRON).digest == one


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("removals_above: 20%", "removals_above: 21%"),
        ("first_sync: true", "first_sync: false"),
        ("per_run: 900", "per_run: 901"),
        ('token: "${HUBSPOT_TOKEN}"', 'token: "${HOLDOUT_SALT}"'),
        ("order: [at_risk, champions]", "order: [champions, at_risk]"),
    ],
)
def test_the_digest_knows_every_value(old: str, new: str) -> None:
    changed = parse_config(broken(old, new), ENVIRON)
    assert changed.digest != parse_config(FULL, ENVIRON).digest
    assert len(changed.digest) == 64


def test_locate(full: Config) -> None:
    def line(start: str) -> str:
        numbers = [
            i for i, text in enumerate(FULL.splitlines(), 1) if text.strip().startswith(start)
        ]
        assert len(numbers) == 1
        return f"folder/shop.yaml:{numbers[0]}"

    assert full.locate("segments.big.where") == line("big:")
    assert full.locate("models.rfm.groups[2]") == line("- {name: others")
    assert full.locate(("campaigns", "winback", "properties", "subject")) == line(
        "properties: {offer: strategy.offer, subject"
    )
    assert full.locate("campaigns.vip") == line("vip:")
    assert full.locate("campaigns.vip.goal") == line("vip:")  # a default: where it would stand
    assert full.locate("identity.shared_email") == line("identity:")


def test_later_stages_complain_at_the_right_line(full: Config) -> None:
    error = full.config_error(
        "segments.big.where", "there is no column 'monetary'", "Did you mean 'monetary_365d'?"
    )
    assert isinstance(error, ConfigError)
    assert str(error) == (
        "folder/shop.yaml:46: segments.big.where: there is no column 'monetary'. Did you mean 'monetary_365d'?"
    )


def test_list_names_come_from_the_template(full: Config) -> None:
    assert full.list_name("winback", "hubspot") == "northwind-home | winback"
    text = broken('name: "{project} | {campaign}"', 'name: "{strategy}/{segment}@{destination}"')
    assert parse_config(text, ENVIRON).list_name("vip", "hubspot") == "reward/champions@hubspot"
    text = broken('{as: static_list, name: "{project} | {campaign}"}', "none")
    assert parse_config(text, ENVIRON).list_name("vip", "hubspot") == ""


def test_paths_start_from_the_file(full: Config) -> None:
    assert full.folder == Path("folder")
    assert full.resolve(full.sources["shop"].path) == str(Path("folder/shop.duckdb"))
    assert full.resolve("/abs/x.csv") == "/abs/x.csv"
    assert full.resolve("s3://bucket/x.parquet") == "s3://bucket/x.parquet"


def test_a_configuration_without_a_file_still_speaks() -> None:
    config = Config.model_validate(
        {
            "project": {"name": "x"},
            "sources": {"files": {"type": "csv", "path": "x.csv"}},
            "tables": {
                "customers": {"from": "files", "columns": {"customer_id": "id"}},
                "orders": {"from": "files", "columns": {"order_id": "id"}},
            },
            "holdouts": {"assign": {"salt": "x"}},
        }
    )
    assert config.locate("project.name") == "<configuration>"


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, connector.config;"
        "heavy = {'pandas', 'numpy', 'duckdb', 'sqlglot', 'pyarrow', 'sqlalchemy', 'scipy', 'httpx'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_a_database_is_a_source_and_its_address_a_secret() -> None:
    text = broken(
        "  shop: {type: duckdb, path: ./shop.duckdb}",
        '  shop: {type: postgres, dsn: "${SHOP_DSN}", schema: sales}',
    )
    config = parse_config(text, {**ENVIRON, "SHOP_DSN": "postgresql://u:canary-dsn@h/x"})
    source = config.sources["shop"]
    assert isinstance(source, PostgresSource)
    assert source.dsn.get_secret_value() == "postgresql://u:canary-dsn@h/x"
    assert source.schema_ == "sales"
    assert "canary" not in f"{config!r}{config}{source!r}"
    assert config.relations == ("shop.customers", "files", "shop.suppressions", "shop.consents")
    with pytest.raises(InvalidConfigError, match=r"allowed: a table of the source, shop\.<table>"):
        parse_config(
            text.replace("from: shop.customers", "from: shop"), {**ENVIRON, "SHOP_DSN": "x"}
        )
