"""Offers in the file: what they give each person, and what is said where they make no sense."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from connector.config import Config, parse_config
from connector.config.lint import lint
from connector.domain import Arm
from connector.pipeline import specs
from tests.config.shop import ENVIRON, FULL, broken, message_of

AS_OF = datetime(2026, 3, 2, 5, tzinfo=UTC)
TEN = '  ten: {offer: 10_percent, cost_per_contact: 0.5, content: {subject: "Ten"}}\n'
SHIP = '  ship: {offer: free, cost_per_contact: 0.25, content: {subject: "Free"}}\n'
BEST = "  proven: {best_offer_of: winback, otherwise: ten}\n"
TRIED = broken(
    "    strategy: win_back\n", "    offers: {ten: 50%, ship: 50%}\n", FULL.replace(
        "strategies:\n", f"strategies:\n{TEN}{SHIP}{BEST}"
    ).replace("    strategy: reward\n", "    strategy: proven\n")
)  # fmt: skip


def read(text: str = TRIED) -> Config:
    return parse_config(text, ENVIRON, name="shop.yaml")


def spec_of(config: Config, name: str, **more: Any) -> Any:
    return next(
        one for one in specs.campaign_specs(config, as_of=AS_OF, **more) if one.name == name
    )


def test_each_offer_has_its_values_its_price_and_its_list() -> None:
    spec = spec_of(read(), "winback")
    assert spec.constants == {}
    assert spec.columns == {}
    assert {name: dict(one.constants) for name, one in spec.offers.items()} == {
        "ten": {"offer": "10_percent", "subject": "Ten"},
        "ship": {"offer": "free", "subject": "Free"},
    }
    assert (spec.price("ten"), spec.price("ship"), spec.price(None)) == (0.5, 0.25, 0.0)
    assert {(one.arm, one.offer, one.name) for one in spec.lists} == {
        (Arm.TREATMENT, "ten", "northwind-home | winback | ten"),
        (Arm.TREATMENT, "ship", "northwind-home | winback | ship"),
        (Arm.BUSINESS_AS_USUAL, None, "northwind-home | winback | business as usual"),
        (Arm.NO_CONTACT, None, "northwind-home | winback | no contact"),
    }


def test_the_best_offer_is_given_where_it_has_proved_and_else_the_stated_one() -> None:
    config = read()
    assert spec_of(config, "vip").constants == {"offer": "10_percent"}
    proved = spec_of(config, "vip", proved={"vip": "ship"})
    assert proved.constants == {"offer": "free"}
    assert proved.price(None) == 0.25
    assert config.given("vip") == ("ten", "ship")
    assert config.given("winback") == ("ten", "ship")


def test_every_property_of_an_offer_is_made_at_the_vendor() -> None:
    config = read()
    assert set(specs.written(config, "hubspot")) == {"rfm_group", "offer", "subject"}
    fields = {one.name for one in specs.fields(config, {"rfm.group": "VARCHAR"}, {})["hubspot"]}
    assert fields == {"rfm_group", "offer", "subject"}


def test_a_strategy_that_is_an_offer_is_used() -> None:
    said = [finding.subject for finding in lint(read()) if "no campaign uses" in finding.message]
    assert said == ["strategies.win_back", "strategies.reward"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{ten: 50%, ship: 50%}", "{ten: 50%, ship: 40%}", "add up to 90%; allowed: 100%"),
        ("{ten: 50%, ship: 50%}", "{ten: 100%}", "there is one offer"),
        ("{ten: 50%, ship: 50%}", "{ten: 50%, shop: 50%}", "no strategy is named 'shop'"),
        ("{ten: 50%, ship: 50%}", "{ten: 50%, proven: 50%}", "proven gives the best offer of"),
        ("    offers: {", "    strategy: win_back\n    offers: {", "a strategy and offers"),
        ("best_offer_of: winback", "best_offer_of: vip", "campaign vip tries no offers"),
        ("best_offer_of: winback", "best_offer_of: winbak", "no campaign is named 'winbak'"),
        (", otherwise: ten}", "}", "until an offer has proved best"),
        ("otherwise: ten}", "otherwise: tin}", "no strategy is named 'tin'"),
        ("best_offer_of: winback, ", "", "otherwise than what?"),
        (', content: {subject: "Free"}', "", "no content of strategy ship is named 'subject'"),
        (", cost_per_contact: 0.25", "", "a budget, but strategy ship names no costs"),
    ],
)  # fmt: skip
def test_what_the_file_may_not_say(old: str, new: str, said: str) -> None:
    assert said in message_of(broken(old, new, TRIED))
