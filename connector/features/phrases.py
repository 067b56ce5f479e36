"""How people say that a feature is high or low: "buys on promotion", not "high promo share".

Suggested names of clusters are made of these. Windows are no part of a phrase: of
``promo_share_365d`` and ``promo_share_90d`` one says the same. A feature without an entry is
called by its name; a custom one brings its own words in the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_WINDOW = re.compile(r"_\d+[dwmy](?=_|$)")


@dataclass(frozen=True, slots=True)
class Phrase:
    """What one says of people with much, and with little, of a feature."""

    high: str
    low: str


_OFTEN = Phrase("buys often", "buys seldom")
_SPENDS = Phrase("spends much", "spends little")
_BASKETS = Phrase("large baskets", "small baskets")
_LATELY = Phrase("not seen for long", "bought lately")
_GAPS = Phrase("long pauses between orders", "short pauses between orders")
_VARIETY = Phrase("buys across categories", "keeps to few categories")
_VISITS = Phrase("visits often", "visits seldom")
_VIEWS = Phrase("looks at many products", "looks at few products")
_CARTS = Phrase("fills carts", "seldom fills a cart")
_MAILS = Phrase("opens mails", "ignores mails")
_CLICKS = Phrase("clicks in mails", "never clicks in mails")
_HELP = Phrase("asks for help often", "needs no help")
_SOCIAL = Phrase("active on social networks", "quiet on social networks")

PHRASES: Mapping[str, Phrase] = {
    "recency_days": _LATELY,
    "days_since_last_order": _LATELY,
    "last_order_age_days": _LATELY,
    "frequency": _OFTEN,
    "log_frequency": _OFTEN,
    "orders": _OFTEN,
    "lifetime_orders": _OFTEN,
    "monetary": _SPENDS,
    "revenue": _SPENDS,
    "lifetime_revenue": _SPENDS,
    "aov": _BASKETS,
    "log_aov": _BASKETS,
    "lifetime_aov": _BASKETS,
    "last_order_value": Phrase("large last basket", "small last basket"),
    "largest_order_value": Phrase("once bought big", "never bought big"),
    "sd_order_value": Phrase("baskets of all sizes", "baskets of one size"),
    "first_order_age_days": Phrase("customer for long", "new customer"),
    "tenure_days": Phrase("customer for long", "new customer"),
    "promo_share": Phrase("buys on promotion", "pays full price"),
    "discount_rate": Phrase("buys on promotion", "pays full price"),
    "full_price_share": Phrase("pays full price", "buys on promotion"),
    "returns": Phrase("sends much back", "keeps what they buy"),
    "return_rate": Phrase("sends much back", "keeps what they buy"),
    "weekend_share": Phrase("buys at weekends", "buys on weekdays"),
    "mean_days_between_orders": _GAPS,
    "median_days_between_orders": _GAPS,
    "sd_days_between_orders": Phrase("buys at odd times", "buys at a steady pace"),
    "replenishment_gap_ratio": Phrase("overdue for the next order", "not yet due again"),
    "categories_bought": _VARIETY,
    "category_entropy": _VARIETY,
    "top_category_share": Phrase("keeps to one category", "buys across categories"),
    "channels_used": Phrase("buys on many channels", "buys on one channel"),
    "channel_entropy": Phrase("buys on many channels", "buys on one channel"),
    "preferred_channel_share": Phrase("buys on one channel", "buys on many channels"),
    "express_share": Phrase("wants it fast", "can wait for delivery"),
    "mean_shipping_paid": Phrase("pays for delivery", "wants delivery free"),
    "sessions": _VISITS,
    "days_since_last_visit": Phrase("has not visited for long", "visited lately"),
    "product_views": _VIEWS,
    "distinct_products_viewed": _VIEWS,
    "views_per_session": Phrase("looks around at length", "looks at little"),
    "mean_session_minutes": Phrase("stays long on the site", "leaves the site soon"),
    "product_page_seconds": Phrase("studies products", "decides at a glance"),
    "cart_adds": _CARTS,
    "cart_abandons": Phrase("leaves carts behind", "buys what is in the cart"),
    "searches": Phrase("searches a lot", "seldom searches"),
    "wishlist_adds": Phrase("keeps a wish list", "keeps no wish list"),
    "opens": _MAILS,
    "email_open_rate": _MAILS,
    "email_open_velocity": Phrase("opens more mails than before", "opens fewer mails than before"),
    "clicks": _CLICKS,
    "email_click_rate": _CLICKS,
    "support_tickets": _HELP,
    "open_support_tickets": Phrase("waits for an answer", "waits for no answer"),
    "mean_satisfaction": Phrase("happy with the service", "unhappy with the service"),
    "social_actions": _SOCIAL,
    "social_shares": Phrase("recommends us", "does not recommend us"),
    "loyalty_points_balance": Phrase("saves points", "has few points"),
    "points_earned": Phrase("collects points", "collects few points"),
    "points_spent": Phrase("spends points", "spends no points"),
}
"""Feature without its window -> what one says."""


def phrase_of(feature: str) -> Phrase | None:
    """What one says of a feature; None where nobody has found words for it."""
    return PHRASES.get(_WINDOW.sub("", feature))
