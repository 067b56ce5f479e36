"""Every feature of a random shop against plain Python that shares nothing with the engine."""

import collections
import itertools
import math
import random
import statistics
from datetime import UTC, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.features.world import ALL, DAY, NOW, ZONE, event, features_of, order, shop

PEOPLE = [str(i) for i in range(1, 13)]
SITE = {
    "Page Viewed": "page_view",
    "Products Searched": "search",
    "Product Viewed": "product_view",
    "Product Added": "cart_add",
    "Checkout Started": "checkout",
    "Order Completed": "order",
    "Product Added to Wishlist": "wishlist_add",
}
MAIL = {
    "Email Sent": "email_sent",
    "Email Delivered": "email_delivered",
    "Email Opened": "email_open",
    "Email Link Clicked": "email_click",
    "Email Bounced": "email_bounce",
}
CATEGORY = {f"p{i}": f"c{i % 4}" for i in range(9)}


def random_shop(seed):
    rng = random.Random(seed)

    def days(longest):
        # Distinct to the second, so that no order of events is left to chance.
        return round(rng.random() ** 2 * longest * 86400) / 86400

    orders, items, events = [], [], []
    for i in range(150):
        back = rng.random() < 0.1
        value = rng.randint(5, 200)
        orders.append(
            order(
                i,
                days(900),
                -value if back else value,
                rng.choice(PEOPLE[:-1]),
                channel=rng.choice(["web", "app", "pos", None]),
                discount=Decimal(rng.choice([0, 0, 2])) if not back else None,
                refund=Decimal(rng.choice([0, 0, 0, 1])) if not back else None,
                shipping=Decimal(rng.choice([0, 4])),
                delivery=rng.choice(["Express", "standard", None]),
            )
        )
        items += [
            {
                "order_id": str(i),
                "product_id": rng.choice([*CATEGORY, "unknown"]),
                "quantity": float(rng.randint(1, 3)),
                "price": Decimal(5),
            }
            for _ in range(rng.randint(0, 3))
        ]
    for visit in range(150):
        customer, start = rng.choice(PEOPLE), days(120) + 0.5
        for step in range(rng.randint(1, 6)):
            name = rng.choice(list(SITE))
            product = rng.choice([*CATEGORY, None]) if name.startswith("Product ") else None
            events.append(
                event(
                    f"v{visit}-{step}",
                    name,
                    start - (step * 90 + rng.randint(0, 80)) / 86400,
                    customer,
                    session_id=f"s{visit}",
                    product_id=product,
                    duration_s=float(rng.randint(1, 300)),
                )
            )
    events += [
        event(f"m{i}", rng.choice(list(MAIL)), days(120), rng.choice(PEOPLE)) for i in range(300)
    ]
    tickets = []
    for i in range(40):
        age = days(500)
        closed = rng.choice([None, age - rng.random() * 20])
        tickets.append(
            {
                "ticket_id": str(i),
                "customer_id": rng.choice(PEOPLE),
                "opened_at": NOW - age * DAY,
                "closed_at": None if closed is None else NOW - timedelta(days=closed),
                "satisfaction": rng.choice([None, 1.0, 5.0]),
            }
        )
    social = [
        {
            "interaction_id": str(i),
            "customer_id": rng.choice(PEOPLE),
            "occurred_at": NOW - days(500) * DAY,
            "network": rng.choice(["insta", "x", None]),
            "action": rng.choice(["like", "share", "mention"]),
            "sentiment": rng.choice([None, -0.5, 0.25, 1.0]),
        }
        for i in range(80)
    ]
    loyalty = [
        {
            "entry_id": str(i),
            "customer_id": rng.choice(PEOPLE),
            "occurred_at": NOW - days(500) * DAY,
            "points": float(rng.randint(-20, 50)),
            "tier": rng.choice(["silver", "gold", None]),
        }
        for i in range(80)
    ]
    products = [{"product_id": p, "category": c} for p, c in CATEGORY.items()]
    return shop(
        orders=orders,
        order_items=items,
        products=products,
        events=events,
        tickets=tickets,
        social=social,
        loyalty=loyalty,
    )


# ---------------------------------------------------------------------- plain Python
def mean(values):
    return statistics.mean(values) if values else None


def share(part, whole):
    return part / whole if whole else None


def age(moment):
    return (NOW - moment) // DAY


def local(moment):
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(ZONE))


def within(rows, days, time):
    return [r for r in rows if r[time] >= NOW - days * DAY]


def most(pairs):
    """Thing of most rows, then of the latest row, then the first; its share; entropy; number."""
    n, last = collections.Counter(), {}
    for thing, moment in pairs:
        n[thing] += 1
        last[thing] = max(last.get(thing, moment), moment)
    if not n:
        return None, None, None, 0
    total = n.total()
    best = min(n, key=lambda t: (-n[t], NOW - last[t], t))
    entropy = -sum(k / total * math.log(k / total) for k in n.values())
    return best, max(n.values()) / total, entropy, len(n)


def order_features(orders, items):
    bought = sorted((o for o in orders if o["gross"] >= 0), key=lambda o: o["ordered_at"])
    net = {o["order_id"]: o["gross"] - (o["discount"] or 0) - (o["refund"] or 0) for o in orders}
    values = [float(net[o["order_id"]]) for o in bought]
    year = within(bought, 365, "ordered_at")
    gaps = [
        (b["ordered_at"] - a["ordered_at"]).total_seconds() / 86400
        for a, b in itertools.pairwise(bought)
    ]
    returns = [o for o in orders if o["gross"] < 0]
    refunded = sum(1 for o in bought if o["refund"] and o["refund"] > 0)
    known = [o for o in year if o["delivery"]]
    row = {
        "largest_order_value": max(values, default=None),
        "sd_order_value": statistics.stdev(values) if len(values) > 1 else None,
        "promo_share_365d": share(sum(o["discount"] > 0 for o in year), len(year)),
        "discount_rate_365d": share(
            float(sum(o["discount"] for o in year)), float(sum(o["gross"] for o in year))
        ),
        "returns_365d": len(within(returns, 365, "ordered_at")),
        "return_rate": min((len(returns) + refunded) / len(bought), 1) if bought else None,
        "weekend_share": share(
            sum(local(o["ordered_at"]).weekday() >= 5 for o in bought), len(bought)
        ),
        "mean_days_between_orders": mean(gaps),
        "median_days_between_orders": statistics.median(gaps) if gaps else None,
        "sd_days_between_orders": statistics.stdev(gaps) if len(gaps) > 1 else None,
        "last_order_value": values[-1] if values else None,
        "days_since_last_order": age(bought[-1]["ordered_at"]) if bought else None,
        "tenure_days": age(bought[0]["ordered_at"]) if bought else None,
        "express_share_365d": share(sum(o["delivery"] == "Express" for o in known), len(known)),
        "full_price_share_365d": share(sum(o["discount"] == 0 for o in year), len(year)),
        "mean_shipping_paid_365d": mean([float(o["shipping"]) for o in year]),
        "log_frequency": math.log(1 + len(within(bought, 730, "ordered_at"))),
    }
    for days in (90, 730):
        worth = sum(net[o["order_id"]] for o in within(orders, days, "ordered_at"))
        n = len(within(bought, days, "ordered_at"))
        row[f"aov_{days}d"] = float(worth) / n if n else None
    aov = row["aov_730d"]
    row["log_aov"] = None if aov is None else math.log(1 + max(round(aov, 2), 0))
    row["lifetime_aov"] = float(sum(net.values())) / len(bought) if bought else None
    channels = [(o["channel"], o["ordered_at"]) for o in bought if o["channel"]]
    (
        row["preferred_channel"],
        row["preferred_channel_share"],
        row["channel_entropy"],
        row["channels_used"],
    ) = most(channels)
    row["preferred_order_hour"] = most(
        [(local(o["ordered_at"]).hour, o["ordered_at"]) for o in bought]
    )[0]
    when = {o["order_id"]: o["ordered_at"] for o in bought}
    lines = [
        (CATEGORY[i["product_id"]], when[i["order_id"]])
        for i in items
        if i["order_id"] in when and i["product_id"] in CATEGORY
    ]
    (
        row["top_category"],
        row["top_category_share"],
        row["category_entropy"],
        row["categories_bought"],
    ) = most(lines)
    row["categories_bought_365d"] = len({c for c, t in lines if t >= NOW - 365 * DAY})
    count = collections.Counter(c for c, _ in lines)
    latest = {c: max(t for d, t in lines if d == c) for c in count}
    row["last_category"] = min(latest, key=lambda c: (NOW - latest[c], -count[c], c), default=None)
    return row


def event_features(events, orders):
    site = sorted(
        ({**e, "meaning": SITE[e["event"]]} for e in events if e["event"] in SITE),
        key=lambda e: (e["occurred_at"], e["event_id"]),
    )
    row = {"days_since_last_visit": age(site[-1]["occurred_at"]) if site else None}

    def count(meaning, days):
        return sum(e["meaning"] == meaning for e in within(site, days, "occurred_at"))

    looks = [e for e in site if e["meaning"] in ("product_view", "cart_add")]
    last = {}
    for e in looks:
        if e["product_id"]:
            last[e["product_id"]] = max(
                last.get(e["product_id"], e["occurred_at"]), e["occurred_at"]
            )
    visits = collections.defaultdict(list)
    for e in site:
        visits[e["session_id"]].append(e)
    spans = [(v, v[0]["occurred_at"], v[-1]["occurred_at"]) for v in visits.values()]
    placed = [o["ordered_at"] for o in orders if o["gross"] >= 0]
    lost = [
        end
        for v, start, end in spans
        if any(e["meaning"] == "cart_add" for e in v)
        and not any(e["meaning"] == "order" for e in v)
        and not any(start <= t <= end + DAY for t in placed)
    ]
    for days in (7, 30, 90):
        row[f"product_views_{days}d"] = count("product_view", days)
        row[f"cart_adds_{days}d"] = count("cart_add", days)
        row[f"sessions_{days}d"] = sum(s >= NOW - days * DAY for _, s, _ in spans)
        row[f"distinct_products_viewed_{days}d"] = sum(t >= NOW - days * DAY for t in last.values())
        if days > 7:
            row[f"cart_abandons_{days}d"] = sum(t >= NOW - days * DAY for t in lost)
    recent = [(v, s, e) for v, s, e in spans if s >= NOW - 90 * DAY]
    row |= {
        "searches_30d": count("search", 30),
        "checkouts_started_30d": count("checkout", 30),
        "wishlist_adds_90d": count("wishlist_add", 90),
        "product_page_seconds_30d": sum(
            e["duration_s"]
            for e in within(site, 30, "occurred_at")
            if e["meaning"] == "product_view"
        ),
        "mean_session_minutes_90d": mean([(e - s).total_seconds() / 60 for _, s, e in recent]),
        "views_per_session_90d": mean(
            [sum(x["meaning"] == "product_view" for x in v) for v, _, _ in recent]
        ),
        "preferred_visit_hour": most(
            [(local(e["occurred_at"]).hour, e["occurred_at"]) for e in site]
        )[0],
    }
    score = collections.defaultdict(float)
    fresh = collections.defaultdict(set)
    latest = {}
    for e in looks:
        category = CATEGORY.get(e["product_id"])
        if category:
            days = (NOW - e["occurred_at"]).total_seconds() / 86400
            score[category] += (3 if e["meaning"] == "cart_add" else 1) * 0.5 ** (days / 14)
            latest[category] = e["occurred_at"]
            if days <= 7:
                fresh[category].add(e["product_id"])
    best = min(score, key=lambda c: (-round(score[c], 6), NOW - latest[c], c), default=None)
    row |= {
        "top_interest_category": best,
        "top_interest_score": score[best] if best else 0,
        "top_interest_products_7d": len(fresh[best]) if best else 0,
        "top_interest_share": score[best] / sum(score.values()) if best else None,
    }
    pairs, triples = [], []
    for v in visits.values():
        steps = [e for e in v if e["occurred_at"] >= NOW - 90 * DAY]
        pairs += [
            (f"{a['meaning']} > {b['meaning']}", b["occurred_at"])
            for a, b in itertools.pairwise(steps)
        ]
        triples += [
            (" > ".join(x["meaning"] for x in three), three[2]["occurred_at"])
            for three in zip(steps, steps[1:], steps[2:], strict=False)
        ]
    (
        row["top_path_90d"],
        row["top_path_share_90d"],
        row["path_entropy_90d"],
        row["paths_90d"],
    ) = most(pairs)
    row["top_path_of_three_90d"] = most(triples)[0]
    for name, paths in (("path_counts_90d", pairs), ("path_of_three_counts_90d", triples)):
        counted = collections.Counter(path for path, _ in paths)
        row[name] = ";".join(sorted(f"{path}={n}" for path, n in counted.items())) or None
    for name, path in (
        ("view_to_cart", "product_view > cart_add"),
        ("cart_to_checkout", "cart_add > checkout"),
        ("search_to_view", "search > product_view"),
    ):
        row[f"{name}_90d"] = sum(p == path for p, _ in pairs)
    return row


def mail_features(events):
    mails = [{**e, "meaning": MAIL[e["event"]]} for e in events if e["event"] in MAIL]

    def times(meaning, days=1000):
        rows = within(mails, days, "occurred_at")
        return [e["occurred_at"] for e in rows if e["meaning"] == meaning]

    row = {}
    for days in (30, 90):
        row[f"email_sends_{days}d"] = max(
            len(times("email_sent", days)), len(times("email_delivered", days))
        )
        row[f"opens_{days}d"] = len(times("email_open", days))
        row[f"clicks_{days}d"] = len(times("email_click", days))
    opened, clicked = times("email_open"), times("email_click")
    return row | {
        "email_bounces_90d": len(times("email_bounce", 90)),
        "days_since_last_email_open": age(max(opened)) if opened else None,
        "days_since_last_email_click": age(max(clicked)) if clicked else None,
        "email_open_rate_90d": share(row["opens_90d"], row["email_sends_90d"]),
        "email_click_rate_90d": share(row["clicks_90d"], row["email_sends_90d"]),
        "email_open_velocity": share(row["opens_30d"], row["opens_90d"] / 3),
        "preferred_email_hour": most([(local(t).hour, t) for t in opened + clicked])[0],
    }


def other_features(tickets, social, loyalty):
    def is_solved(t):
        return t["closed_at"] is not None and t["closed_at"] < NOW

    year = [t for t in within(tickets, 365, "opened_at") if is_solved(t)]
    row = {
        "open_support_tickets": sum(not is_solved(t) for t in tickets),
        "support_tickets_90d": len(within(tickets, 90, "opened_at")),
        "support_tickets_365d": len(within(tickets, 365, "opened_at")),
        "days_since_last_ticket": age(max(t["opened_at"] for t in tickets)) if tickets else None,
        "mean_resolution_hours_365d": mean(
            [int((t["closed_at"] - t["opened_at"]).total_seconds()) / 3600 for t in year]
        ),
        "mean_satisfaction_365d": mean(
            [t["satisfaction"] for t in year if t["satisfaction"] is not None]
        ),
    }
    for days in (30, 90):
        row[f"social_actions_{days}d"] = len(within(social, days, "occurred_at"))
    year = within(social, 365, "occurred_at")
    points = [e["points"] for e in within(loyalty, 365, "occurred_at")]
    tiers = {}
    for e in sorted(loyalty, key=lambda e: e["occurred_at"]):
        if e["tier"]:
            tiers[e["tier"]] = e["occurred_at"]
    return row | {
        "social_shares_365d": sum(s["action"] in ("share", "mention") for s in year),
        "days_since_last_social_action": (
            age(max(s["occurred_at"] for s in social)) if social else None
        ),
        "mean_sentiment_365d": mean([s["sentiment"] for s in year if s["sentiment"] is not None]),
        "preferred_network": most(
            [(s["network"], s["occurred_at"]) for s in social if s["network"]]
        )[0],
        "loyalty_points_balance": sum(e["points"] for e in loyalty),
        "points_earned_365d": sum(p for p in points if p > 0),
        "points_spent_365d": -sum(p for p in points if p < 0),
        "days_since_last_loyalty_booking": (
            age(max(e["occurred_at"] for e in loyalty)) if loyalty else None
        ),
        "loyalty_tier": max(tiers, key=tiers.get, default=None),
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_every_feature_agrees_with_plain_python(seed):
    tables = random_shop(seed)
    found = features_of(tables)
    assert set(found) == set(PEOPLE)
    checked = set()
    for person in PEOPLE:

        def mine(name, person=person):
            return [r for r in tables[name] if r["customer_id"] == person]

        wanted = {
            **order_features(mine("orders"), tables["order_items"]),
            **event_features(mine("events"), mine("orders")),
            **mail_features(mine("events")),
            **other_features(mine("tickets"), mine("social"), mine("loyalty")),
        }
        for name, value in wanted.items():
            got = found[person][name]
            got = float(got) if isinstance(got, Decimal) else got
            # Floating point is rounded to six places, money to cents: from halfway, either way.
            exact = pytest.approx(value, abs=0.00501 if "aov" in name else 2e-6)
            assert got == (exact if isinstance(value, float) else value), (person, name)
        checked |= set(wanted)
    every = {n for pack in ALL for n in pack.names if pack.name not in ("rfm", "demographics")}
    older = {n for n in every if n.startswith(("orders_", "revenue_", "monetary_", "lifetime_"))}
    older |= {"first_order_age_days", "last_order_age_days", "aov_365d"}
    assert every - older - checked == set(), "a feature without a reference"
