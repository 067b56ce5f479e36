"""Checks of campaigns, of what they write and where, of holdouts and metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from connector.config.activation import Campaign, Destination
from connector.config.checks.draft import Draft
from connector.config.models import ClvModel, PropensityModel, UpliftModel
from connector.config.problems import KeyPath, Problem, nearest, shown
from connector.config.root import Config
from connector.config.schema_problems import keys_at
from connector.config.values import share_sum
from connector.domain import Arm

STRATEGY_KEYS = ("offer", "objective", "name")
"""What ``strategy.<key>`` may name in a campaign's properties."""
RFM = "rfm."
RFM_COLUMNS = ("r", "f", "m", "cell", "group")


def campaigns_lead_somewhere(draft: Draft) -> Iterator[Problem]:
    """Segment, strategy, destinations and goal of a campaign exist; the window has an inside."""
    metrics = (*draft.config.metrics, *draft.names("metrics"))
    for name, campaign in draft.config.campaigns.items():
        path: KeyPath = ("campaigns", name)
        yield from draft.unknown(
            (*path, "segment"), "segment", campaign.segment, draft.names("segments")
        )
        if campaign.strategy is not None:
            yield from draft.unknown(
                (*path, "strategy"), "strategy", campaign.strategy, draft.names("strategies")
            )
        seen: set[str] = set()
        for i, to in enumerate(campaign.to):
            yield from draft.unknown(
                (*path, "to", i), "destination", to, draft.names("destinations")
            )
            yield from draft.twice((*path, "to", i), "destination", to, seen)
        yield from draft.unknown(
            (*path, "goal"), "metric", campaign.goal, tuple(dict.fromkeys(metrics))
        )
        goal = draft.config.metrics.get(campaign.goal)
        if goal is not None and goal.kind == "ratio":
            yield draft.problem(
                (*path, "goal"),
                "is a ratio: who buys is sorted by the campaign itself",
                allowed="a number of each person, such as its numerator, with the ratio in "
                "also_report",
            )
        if campaign.start and campaign.decide_on and campaign.decide_on <= campaign.start:
            yield draft.problem(
                (*path, "decide_on"),
                f"is {campaign.decide_on}, and it starts on {campaign.start}",
                allowed="a day after the start, when windows have closed",
            )
        if campaign.start and campaign.end and campaign.end < campaign.start:
            yield draft.problem(
                (*path, "end"),
                f"ends {campaign.end}, before it starts on {campaign.start}",
                allowed=f"{campaign.start} or later (the last day is included)",
            )


def offers_are_whole(draft: Draft) -> Iterator[Problem]:
    """Offers are strategies, make 100 %, and stand in place of a strategy."""
    for name, campaign in draft.config.campaigns.items():
        path: KeyPath = ("campaigns", name, "offers")
        if not campaign.offers:
            continue
        total = share_sum(list(campaign.offers.values()))
        if total != 1:
            percent = f"{(total * 100).normalize():f}%"
            yield draft.problem(path, f"the offers add up to {percent}", allowed="100%")
        if len(campaign.offers) < 2:
            yield draft.problem(
                path,
                "there is one offer, so there is nothing to compare",
                hint="Name it as the campaign's strategy, or add another.",
            )
        if campaign.strategy is not None:
            yield draft.problem(
                ("campaigns", name, "strategy"),
                "a strategy and offers",
                allowed="one of them: each offer is a strategy",
            )
        for offer in campaign.offers:
            yield from draft.unknown((*path, offer), "strategy", offer, draft.names("strategies"))
            strategy = draft.config.strategies.get(offer)
            if strategy is not None and strategy.best_offer_of is not None:
                yield draft.problem(
                    (*path, offer),
                    f"strategy {offer} gives the best offer of {strategy.best_offer_of}",
                    allowed="strategies that say what is given",
                )


def best_offers_lead_somewhere(draft: Draft) -> Iterator[Problem]:
    """The best offer is one of a campaign that tries several, and there is one to begin with."""
    for name, strategy in draft.config.strategies.items():
        path: KeyPath = ("strategies", name)
        if strategy.best_offer_of is None:
            if strategy.otherwise is not None:
                hint = "Add best_offer_of, or give the strategy itself."
                yield draft.problem((*path, "otherwise"), "otherwise than what?", hint=hint)
            continue
        yield from draft.unknown(
            (*path, "best_offer_of"), "campaign", strategy.best_offer_of, draft.names("campaigns")
        )
        tried = draft.config.campaigns.get(strategy.best_offer_of)
        if tried is not None and not tried.offers:
            yield draft.problem(
                (*path, "best_offer_of"),
                f"campaign {strategy.best_offer_of} tries no offers",
                hint="Give it offers: {one_strategy: 50%, another: 50%}.",
            )
        if strategy.otherwise is None:
            yield draft.problem(
                (*path, "otherwise"),
                "is missing: what is given until an offer has proved best",
                allowed="the name of a strategy",
            )
            continue
        yield from draft.unknown(
            (*path, "otherwise"), "strategy", strategy.otherwise, draft.names("strategies")
        )
        other = draft.config.strategies.get(strategy.otherwise)
        if other is not None and other.best_offer_of is not None:
            yield draft.problem(
                (*path, "otherwise"),
                f"strategy {strategy.otherwise} says the same of {other.best_offer_of}",
                allowed="a strategy that says what is given",
            )


def arms_add_up(draft: Draft) -> Iterator[Problem]:
    """Arms make 100 % exactly, and somebody is treated."""
    for name, campaign in draft.config.campaigns.items():
        path: KeyPath = ("campaigns", name, "arms")
        shares = campaign.arms
        total = share_sum(list(shares.values()))
        if total != 1:
            percent = f"{(total * 100).normalize():f}%"
            yield draft.problem(path, f"the arms add up to {percent}", allowed="100%")
        if not shares.get(Arm.TREATMENT):
            yield draft.problem(path, "nobody is treated", allowed="treatment above 0%")
        if campaign.no_contact_list and not shares.get(Arm.NO_CONTACT):
            yield draft.problem(
                ("campaigns", name, "no_contact_list"),
                "there is no no_contact arm to put on a list",
                allowed="false, or an arm no_contact",
            )


def options_are_meant(draft: Draft) -> Iterator[Problem]:
    """An adapter's option that is nearly a common key is a slip, not an option."""
    common = keys_at(Destination, ())
    for name, destination in draft.config.destinations.items():
        for key in destination.options:
            meant = nearest(key, common, cutoff=0.85)
            if meant is not None:
                hint = f"Did you mean '{meant}'?"
                yield draft.problem(("destinations", name, key), "unknown key", hint=hint)


def budgets_can_be_reckoned(draft: Draft) -> Iterator[Problem]:
    """A budget needs a strategy that says what a contact costs."""
    for name, campaign in draft.config.campaigns.items():
        given = draft.config.given(name)
        found = {one: draft.config.strategies.get(one) for one in given}
        if campaign.budget is None or None in found.values():
            continue
        free = [
            one
            for one, strategy in found.items()
            if strategy and strategy.cost_per_contact is None and not strategy.cost_per_redemption
        ]
        if not given:
            message = "a budget, but the campaign has no strategy that names costs"
        elif free:
            message = f"a budget, but strategy {free[0]} names no costs"
        else:
            continue
        hint = "Give the strategy cost_per_contact or cost_per_redemption."
        yield draft.problem(("campaigns", name, "budget"), message, hint=hint)


def rankings_have_a_budget(draft: Draft) -> Iterator[Problem]:
    """Ranking people says something only where each costs something and money is limited."""
    shared = {name for one in draft.config.budgets.values() for name in one.campaigns}
    for name, campaign in draft.config.campaigns.items():
        found = [draft.config.strategies.get(one) for one in draft.config.given(name)]
        if campaign.rank_by is None or None in found:
            continue
        path: KeyPath = ("campaigns", name, "rank_by")
        if campaign.budget is None and name not in shared and "budgets" not in draft.broken:
            yield draft.problem(
                path,
                "ranks people, but no budget is limited",
                hint="Give the campaign a budget, or name it in one of budgets.",
            )
        if not found or not all(one and one.cost_per_contact for one in found):
            yield draft.problem(
                path,
                "ranks people for a budget, but a contact costs nothing",
                hint="Give the strategy a cost_per_contact.",
            )


def shared_budgets_are_whole(draft: Draft) -> Iterator[Problem]:
    """Campaigns of a shared budget exist, rank their people, and have no other budget."""
    owner: dict[str, str] = {}
    for budget, one in draft.config.budgets.items():
        for i, name in enumerate(one.campaigns):
            path: KeyPath = ("budgets", budget, "campaigns", i)
            yield from draft.unknown(path, "campaign", name, draft.names("campaigns"))
            other = owner.setdefault(name, budget)
            campaign = draft.config.campaigns.get(name)
            if other != budget:
                yield draft.problem(path, f"campaign {name} shares the budget {other} already")
            elif campaign is not None and campaign.budget is not None:
                message = f"campaign {name} has a budget of its own"
                yield draft.problem(path, message, allowed="one budget for each campaign")
            elif campaign is not None and campaign.rank_by is None:
                yield draft.problem(
                    path,
                    f"campaign {name} does not say who comes first",
                    hint=f"Give it rank_by: money that a contact is expected to bring, so that"
                    f" people of all campaigns of {budget} compare.",
                )


def campaign_properties_lead_somewhere(draft: Draft) -> Iterator[Problem]:
    """``strategy.<key>`` and ``content.<key>`` exist; ``rfm.<column>`` is a column of the model."""
    for name, campaign in draft.config.campaigns.items():
        given = draft.config.given(name)
        for key, value in campaign.properties.items():
            path: KeyPath = ("campaigns", name, "properties", key)
            owner, _, field = value.partition(".")
            if owner in ("strategy", "content") and not given:
                message = f"found {shown(value)}, but the campaign has no strategy"
                yield draft.problem(path, message)
            elif owner == "strategy":
                yield from draft.unknown(path, "strategy value", field, STRATEGY_KEYS)
            elif owner == "content":
                for one in given:
                    strategy = draft.config.strategies.get(one)
                    if strategy is not None:
                        what = f"content of strategy {one}"
                        yield from draft.unknown(path, what, field, tuple(strategy.content))
            else:
                yield from _score(draft, path, value)
    for name, destination in draft.config.destinations.items():
        for key, value in destination.properties.items():
            path = ("destinations", name, "properties", key)
            if value.partition(".")[0] in ("strategy", "content"):
                yield draft.problem(
                    path,
                    f"found {shown(value)}, which belongs to a campaign",
                    allowed="a feature, score or profile column, such as rfm.group",
                )
            else:
                yield from _score(draft, path, value)


def _score(draft: Draft, path: KeyPath, value: str) -> Iterator[Problem]:
    name, _, column = value.partition(".")
    model = dict(draft.config.models.named()).get(name)
    if value.startswith(RFM):
        yield from draft.unknown(path, "RFM column", column, RFM_COLUMNS)
    elif isinstance(model, PropensityModel | ClvModel | UpliftModel):
        yield from draft.unknown(path, f"output of model {name}", column, model.scores)


def properties_have_one_owner(draft: Draft) -> Iterator[Problem]:
    """A property at a destination is written by the destination, or by campaigns kept apart."""
    config = draft.config
    segments = draft.names("segments")
    ranked = [name for ranking in config.priority_lists for name in ranking.order]
    if "priority_lists" in {*draft.broken, *draft.places} or set(ranked) - set(segments):
        return  # a list that cannot be read may be the one that keeps campaigns apart
    writers: dict[tuple[str, str], list[tuple[str, Campaign]]] = defaultdict(list)
    for name, campaign in config.campaigns.items():
        if campaign.segment not in segments:
            continue
        for to in dict.fromkeys(campaign.to):
            for key in campaign.properties:
                destination = config.destinations.get(to)
                if destination is not None and key in destination.properties:
                    yield draft.problem(
                        ("campaigns", name, "properties", key),
                        f"the destination {to} writes this property already",
                        allowed="one owner for each property",
                        hint="Name it differently here, or drop it there.",
                    )
                for other, rival in writers[to, key]:
                    if not _kept_apart(config, campaign, rival):
                        yield draft.problem(
                            ("campaigns", name, "properties", key),
                            f"campaign {other} writes this property at {to}, too, and nobody"
                            " says which of them wins for a person in both",
                            hint=_how_to_settle(campaign, rival),
                        )
                writers[to, key].append((name, campaign))


def _kept_apart(config: Config, one: Campaign, other: Campaign) -> bool:
    pair = {one.segment, other.segment}
    return len(pair) == 2 and any(pair <= set(ranking.order) for ranking in config.priority_lists)


def _how_to_settle(one: Campaign, other: Campaign) -> str:
    if one.segment == other.segment:
        return "Both address one segment: give each a property of its own."
    return f"Put {other.segment} and {one.segment} in one priority list."


def audiences_have_one_list(draft: Draft) -> Iterator[Problem]:
    """No two campaigns come to the same list at a destination."""
    config = draft.config
    if "project" in draft.broken:
        return
    lists: dict[tuple[str, str], str] = {}
    for name, campaign in config.campaigns.items():
        for to in dict.fromkeys(campaign.to):
            destination = config.destinations.get(to)
            if destination is None or destination.membership is None:
                continue
            base = config.list_name(name, to)
            for title in (base, *(f"{base} | {offer}" for offer in campaign.offers)):
                other = lists.setdefault((to, title.casefold()), name)
                if other != name:
                    yield draft.problem(
                        ("destinations", to, "membership"),
                        f"campaigns {other} and {name} would share the list {shown(title)}",
                        allowed="a name that holds {campaign}",
                    )


def metrics_are_whole(draft: Draft) -> Iterator[Problem]:
    """A metric is one of five kinds, and what is reported exists."""
    for name in draft.names("metrics"):
        metric = draft.config.metrics.get(name)
        if metric is None:
            continue
        given = metric.given
        if len(given) != 1:
            found = f"found {' and '.join(given)}" if given else "measures nothing"
            yield draft.problem(
                ("metrics", name), found, allowed="exactly one of sum, count, share, ratio, delta"
            )
        elif metric.guardrail is not None and given[0] not in ("share", "ratio"):
            yield draft.problem(
                ("metrics", name, "guardrail"),
                f"limits a {given[0]}",
                allowed="a limit in percentage points, of a share or a ratio",
            )
        elif metric.winsorise is not None and given[0] != "sum":
            yield draft.problem(
                ("metrics", name, "winsorise"), f"caps a {given[0]}", allowed="a cap of a sum"
            )
    known = tuple(dict.fromkeys((*draft.config.metrics, *draft.names("metrics"))))
    measurement = draft.config.measurement
    for i, name in enumerate(measurement.also_report or ()):
        yield from draft.unknown(("measurement", "also_report", i), "metric", name, known)
    buyers = measurement.min_expected_buyers
    if buyers.verdict > buyers.directional:
        yield draft.problem(
            ("measurement", "min_expected_buyers"),
            f"says nothing below {buyers.verdict:g} and gives a verdict from "
            f"{buyers.directional:g}",
            allowed="`verdict` (below it nothing is said) no larger than `directional`",
        )
