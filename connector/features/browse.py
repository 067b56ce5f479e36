"""What somebody looks at: visits, products, carts, interests that fade, and paths.

Interest is a sum over views and additions to the cart, each worth half as much for every half-life
that has passed. So three laptops this week are a strong interest, and one six months ago is next to
none, while a plain count would call them three and one. A view counts 1, an addition to the cart 3.

A path is two or three things in a row within one visit, such as ``product_view > cart_add``. The
commonest is a feature; how often somebody went each of them is a tally, of which a model learns in
training which paths to count (:mod:`connector.models.inputs`).

A cart is abandoned when a visit that filled it ends without an order: neither an event says so nor
an order of that person was placed from the visit's start until a day after its end.
"""

from __future__ import annotations

from connector.features.pack import TALLY, FeatureColumn, FeaturePack, Level, LevelColumns, Rows
from connector.features.shares import (
    counted,
    entropy,
    favourite,
    favourite_share,
    most_often,
    preferred_hour,
    ranked,
)
from connector.tables import ON_SITE

TABLE, TIME = "clean_events", "occurred_at"
EVENTS = Rows(TABLE, TIME)
ORDERS = Rows("clean_orders", "ordered_at")
HALF_LIFE_DAYS = 14.0
CART_WEIGHT = 3
"""An addition to the cart tells so many times as much as a view."""
INTEREST = "level_interest"
PATHS = "level_paths"
PATH_DAYS = 90
_ON_SITE = f"r.meaning IN ({', '.join(repr(name) for name in ON_SITE)})"

_VISITS = Level(
    "level_visits",
    "SELECT r.profile_id AS profile_id, r.session_id AS session_id, min(r.occurred_at) AS"
    " started_at, max(r.occurred_at) AS ended_at, count_if(r.meaning = 'product_view') AS n_views"
    ", count_if(r.meaning = 'cart_add') AS n_adds, count_if(r.meaning = 'order') AS n_orders"
    f" FROM r WHERE {_ON_SITE} AND r.session_id IS NOT NULL GROUP BY r.profile_id, r.session_id",
    (("r", EVENTS),),
)
_ABANDONED = Level(
    "level_abandoned_carts",
    "SELECT v.profile_id AS profile_id, v.session_id AS session_id, max(v.ended_at) AS ended_at"
    " FROM v LEFT JOIN o ON o.profile_id = v.profile_id AND NOT o.is_return AND o.ordered_at >="
    " v.started_at AND o.ordered_at <= add_days(v.ended_at, 1)"
    " WHERE v.n_adds > 0 AND v.n_orders = 0"
    " GROUP BY v.profile_id, v.session_id HAVING count(o.order_id) = 0",
    (("v", _VISITS), ("o", ORDERS)),
)


def browse_pack(
    timezone: str = "UTC", *, half_life_days: float = HALF_LIFE_DAYS, level: str = "category"
) -> FeaturePack:
    """Behaviour on the site and in the app.

    Args:
        timezone: Zone that hours are meant in.
        half_life_days: After so many days an interest is worth half.
        level: Which column is the category: ``category`` or ``subcategory``.
    """
    windows = (7, 30, 90)
    looks = _looks(half_life_days, level)
    return FeaturePack(
        name="browse",
        table=TABLE,
        time=TIME,
        columns=(
            *(
                _count(f"{name}_{days}d", f"meaning = '{meaning}'", words, days)
                for name, meaning, words in (
                    ("product_views", "product_view", "products looked at"),
                    ("cart_adds", "cart_add", "products put into the cart"),
                )
                for days in windows
            ),
            _count("searches_30d", "meaning = 'search'", "searches", 30),
            _count("checkouts_started_30d", "meaning = 'checkout'", "checkouts started", 30),
            _count("wishlist_adds_90d", "meaning = 'wishlist_add'", "products wished for", 90),
            FeatureColumn(
                "product_page_seconds_30d",
                "sum(duration_s)",
                "seconds",
                "time spent on product pages in the last 30 days",
                where="meaning = 'product_view'",
                window_days=30,
                type="DOUBLE",
                needs=("events.duration_s",),
            ),
            FeatureColumn(
                "days_since_last_visit",
                "days_between(max(occurred_at), as_of)",
                "days",
                "whole days since the last event on the site or in the app",
                where=_ON_SITE.replace("r.", ""),
                empty="NULL",
            ),
        ),
        levels=(
            LevelColumns(_VISITS, _visit_columns(windows), time="started_at"),
            LevelColumns(
                _ABANDONED,
                tuple(
                    FeatureColumn(
                        f"cart_abandons_{days}d",
                        "count(*)",
                        "visits",
                        f"visits of the last {days} days that filled a cart and led to no order",
                        window_days=days,
                    )
                    for days in (30, 90)
                ),
                time="ended_at",
            ),
            LevelColumns(
                looks,
                tuple(
                    FeatureColumn(
                        f"distinct_products_viewed_{days}d",
                        "count(product_id)",
                        "products",
                        f"different products looked at or put into the cart whose last look was in"
                        f" the last {days} days",
                        window_days=days,
                        needs=("events.product_id",),
                    )
                    for days in windows
                ),
                time="last_at",
            ),
            *_interest(looks),
            *_paths(),
            preferred_hour(
                "preferred_visit_hour",
                EVENTS,
                zone=timezone,
                where=_ON_SITE,
                meaning="hour of most events on the site",
            ),
        ),
        needs=("events",),
    )


def _count(name: str, where: str, words: str, days: int) -> FeatureColumn:
    return FeatureColumn(
        name,
        "count(*)",
        "events",
        f"{words} in the last {days} days",
        where=where,
        window_days=days,
    )


def _visit_columns(windows: tuple[int, ...]) -> tuple[FeatureColumn, ...]:
    """Features of visits."""
    return (
        *(
            FeatureColumn(
                f"sessions_{days}d",
                "count(*)",
                "visits",
                f"visits that began in the last {days} days",
                window_days=days,
            )
            for days in windows
        ),
        FeatureColumn(
            "mean_session_minutes_90d",
            "avg(seconds_between(started_at, ended_at)) / 60",
            "minutes",
            "mean time from the first to the last event of a visit of the last 90 days",
            window_days=90,
            type="DOUBLE",
            empty="NULL",
        ),
        FeatureColumn(
            "views_per_session_90d",
            "avg(n_views)",
            "products",
            "mean number of products looked at in a visit of the last 90 days",
            window_days=90,
            type="DOUBLE",
            empty="NULL",
        ),
    )


def _looks(half_life_days: float, level: str) -> Level:
    """One row a person, category and product, with what the interest in it has decayed to."""
    weight = f"CASE r.meaning WHEN 'cart_add' THEN {CART_WEIGHT} ELSE 1 END"
    age = "seconds_between(r.occurred_at, as_of) / 86400"
    return Level(
        "level_looks",
        f"SELECT r.profile_id AS profile_id, r.{level} AS category, r.product_id AS product_id"
        ", max(r.occurred_at) AS last_at, count(*) AS n"
        f", sum({weight} * exp(-0.693147180559945 * ({age}) / {half_life_days})) AS score FROM r"
        " WHERE r.meaning IN ('product_view', 'cart_add') GROUP BY r.profile_id"
        f", r.{level}, r.product_id",
        (("r", EVENTS),),
    )


def _interest(looks: Level) -> tuple[LevelColumns, ...]:
    """The category that somebody is most interested in now."""
    interest = Level(
        INTEREST,
        "SELECT k.profile_id AS profile_id, k.category AS thing, sum(k.n) AS n"
        ", max(k.last_at) AS last_at, round(sum(k.score), 6) AS score"
        ", count(CASE WHEN k.last_at >= add_days(as_of, -7) THEN k.product_id END) AS n_recent"
        " FROM k WHERE k.category IS NOT NULL GROUP BY k.profile_id, k.category",
        (("k", looks),),
    )
    best = ranked(
        "level_interest_most",
        interest,
        order="c.score DESC, c.last_at DESC",
        keep="c.score AS score, c.n_recent AS n_recent",
    )
    return (
        LevelColumns(
            best,
            (
                favourite(
                    "top_interest_category",
                    "category of the strongest present interest",
                    unit="category",
                ),
                FeatureColumn(
                    "top_interest_score",
                    "max(score)",
                    "views of today",
                    "strength of that interest: views (1) and additions to the cart (3), halved for"
                    " every half-life that has passed",
                    type="DOUBLE",
                ),
                FeatureColumn(
                    "top_interest_products_7d",
                    "max_if(n_recent, place = 1)",
                    "products",
                    "different products of that category looked at in the last 7 days",
                ),
                FeatureColumn(
                    "top_interest_share",
                    "max(score) / nullif(sum(score), 0)",
                    "share from 0 to 1",
                    "share of that category in all present interest",
                    type="DOUBLE",
                    empty="NULL",
                ),
            ),
        ),
    )


def _tally(name: str, what: str) -> FeatureColumn:
    """How often somebody went each of the paths of a level."""
    return FeatureColumn(
        name, "tally(thing, n)", TALLY, f"commonest {what}", type="VARCHAR", empty="NULL"
    )


def _paths() -> tuple[LevelColumns, ...]:
    """Two and three things in a row within a visit."""
    order = "OVER (PARTITION BY r.profile_id, r.session_id ORDER BY r.occurred_at ASC, r.event_id"
    steps = Level(
        "level_steps",
        f"SELECT r.profile_id AS profile_id, r.occurred_at AS occurred_at, r.meaning AS meaning"
        f", lag(r.meaning) {order} ASC) AS before, lag(r.meaning, 2) {order} ASC) AS earlier"
        f" FROM r WHERE {_ON_SITE} AND r.session_id IS NOT NULL"
        f" AND r.occurred_at >= add_days(as_of, -{PATH_DAYS})",
        (("r", EVENTS),),
    )
    pairs = counted(
        PATHS,
        steps,
        "r.before || ' > ' || r.meaning",
        time="r.occurred_at",
        where="r.before IS NOT NULL",
    )
    triples = counted(
        "level_paths_of_three",
        steps,
        "r.earlier || ' > ' || r.before || ' > ' || r.meaning",
        time="r.occurred_at",
        where="r.earlier IS NOT NULL",
    )
    within = f"of the last {PATH_DAYS} days"
    return (
        LevelColumns(pairs, (_tally(f"path_counts_{PATH_DAYS}d", f"pairs of steps {within}"),)),
        LevelColumns(
            triples,
            (_tally(f"path_of_three_counts_{PATH_DAYS}d", f"three steps in a row {within}"),),
        ),
        LevelColumns(
            most_often(pairs),
            (
                favourite(
                    f"top_path_{PATH_DAYS}d", f"commonest pair of steps {within}", unit="path"
                ),
                favourite_share(f"top_path_share_{PATH_DAYS}d", f"share of that pair {within}"),
                FeatureColumn(
                    f"paths_{PATH_DAYS}d",
                    "count(*)",
                    "paths",
                    f"different pairs of steps {within}",
                ),
                entropy(f"path_entropy_{PATH_DAYS}d", f"how evenly steps {within} are spread"),
                *(
                    FeatureColumn(
                        f"{name}_{PATH_DAYS}d",
                        "sum(n)",
                        "steps",
                        f"{words} {within}",
                        where=f"thing = '{path}'",
                    )
                    for name, path, words in (
                        (
                            "view_to_cart",
                            "product_view > cart_add",
                            "looks at a product right before something was put into the cart",
                        ),
                        (
                            "cart_to_checkout",
                            "cart_add > checkout",
                            "additions to the cart right before a checkout began",
                        ),
                        (
                            "search_to_view",
                            "search > product_view",
                            "searches right before a look at a product",
                        ),
                    )
                ),
            ),
        ),
        LevelColumns(
            most_often(triples),
            (
                favourite(
                    f"top_path_of_three_{PATH_DAYS}d",
                    f"commonest three steps in a row {within}",
                    unit="path",
                ),
            ),
        ),
    )
