"""The fixed story of ``liftline demo``: which shop, which days, which campaigns work.

Monday, 2 March 2026, 06:00 in Berlin: three years of history, a first plan, a first sync. Five
weeks later the outcomes are in: ``winback`` has worked, ``vip_early`` has done nothing at all
although its people buy a lot (which is what makes such campaigns look good without a holdout), and
``second_order`` helped a little, too little to be seen with so few held out. The dates never follow
the wall clock, so the demo says the same every day.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from types import MappingProxyType

from connector.demo.effects import Effect

SEED = 20_260_302
N_CUSTOMERS = 20_000
OPENED = datetime(2023, 3, 1, 5, 0, tzinfo=UTC)
FIRST_RUN = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
"""As of when the first plan is made; 06:00 in Berlin."""
SECOND_RUN = datetime(2026, 4, 6, 4, 0, tzinfo=UTC)
"""Five weeks later, 06:00 in Berlin's summer time: 30-day windows and their refunds are over."""

EFFECTS: Mapping[str, Effect] = MappingProxyType(
    {
        "winback": Effect(rate_factor=2.2),
        "vip_early": Effect(rate_factor=1.0),
        "second_order": Effect(rate_factor=1.15),
    }
)
"""What each campaign truly does to the people in its treatment arm."""


def config_text() -> str:
    """The demo's configuration file: it needs ``shop.duckdb`` beside it and three variables.

    ``HUBSPOT_TOKEN``, ``HUBSPOT_URL`` (the sandbox) and ``HOLDOUT_SALT``.
    """
    return files("connector.demo").joinpath("liftline.yaml").read_text(encoding="utf-8")
