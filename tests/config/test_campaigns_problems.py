"""What is said of broken strategies, destinations, campaigns, holdouts, metrics and guards.

Each case changes one place of a good file; the whole message is expected, word for word: file, line, key, what
was found, what is allowed, and what was probably meant.
"""

# ruff: noqa: E501 - messages are kept in one piece

from __future__ import annotations

import pytest

from tests.config.shop import broken, message_of

CASES = [
    (
        "    budget: {per_run: 900}",
        "    rank_by: lifetime_orders",
        "shop.yaml:72: campaigns.winback.rank_by: ranks people, but no budget is limited. Give the campaign a budget, or name it in one of budgets.",
    ),
    (
        "campaigns:\n",
        "budgets: {spring: {per_run: 900, campaigns: [winback]}}\ncampaigns:\n",
        "shop.yaml:61: budgets.spring.campaigns[0]: campaign winback has a budget of its own; allowed: one budget for each campaign.",
    ),
    (
        "campaigns:\n",
        "budgets: {spring: {per_run: 900, campaigns: [vip]}}\ncampaigns:\n",
        "shop.yaml:61: budgets.spring.campaigns[0]: campaign vip does not say who comes first. Give it rank_by: money that a contact is expected to bring, so that people of all campaigns of spring compare.",
    ),
    (
        "campaigns:\n",
        "budgets: {spring: {per_run: 900, campaigns: [vap]}}\ncampaigns:\n",
        "shop.yaml:61: budgets.spring.campaigns[0]: no campaign is named 'vap'; allowed: winback, vip. Did you mean 'vip'?",
    ),
    (
        "  purposes: [marketing, profiling]",
        "  purposes: [profiling]",
        "shop.yaml:56: destinations.hubspot.requires.purpose: no purpose of consent.purposes is named 'marketing'; allowed: profiling.",
    ),
    (
        "cost_per_contact: 0.02",
        "cost_per_contact: 2ct",
        "shop.yaml:50: strategies.win_back.cost_per_contact: found '2ct'; allowed: an amount of money as a plain number, 0 or more, such as 9.50.",
    ),
    (
        "cost_per_contact: 0.02, ",
        "",
        "shop.yaml:72: campaigns.winback.budget: a budget, but strategy win_back names no costs. Give the strategy cost_per_contact or cost_per_redemption.",
    ),
    (
        "    requires: {purpose: marketing, channel: email}",
        "",
        "shop.yaml:53: destinations.hubspot.requires: is missing; allowed: {purpose: marketing, channel: email}, or none_internal for data that stays inside.",
    ),
    (
        "    requires: {purpose: marketing, channel: email}",
        "    requries: {purpose: marketing, channel: email}",
        "shop.yaml:53: destinations.hubspot.requires: is missing; allowed: {purpose: marketing, channel: email}, or none_internal for data that stays inside. Did you mean 'requires' where it says 'requries'?",
    ),
    (
        "    requires: {purpose: marketing, channel: email}",
        "    requires: none",
        "shop.yaml:56: destinations.hubspot.requires: found 'none'; allowed: {purpose: marketing, channel: email}, or none_internal for data that stays inside.",
    ),
    (
        "    requires: {purpose: marketing, channel: email}",
        "    requires: {purpose: marketing}",
        "shop.yaml:56: destinations.hubspot.requires.channel: is missing.",
    ),
    (
        "    requires: {purpose: marketing, channel: email}",
        "    requires: {purpose: maketing, channel: email}",
        "shop.yaml:56: destinations.hubspot.requires.purpose: no purpose of consent.purposes is named 'maketing'; allowed: marketing, profiling. Did you mean 'marketing'?",
    ),
    (
        "    type: hubspot",
        "    type: HubSpot",
        "shop.yaml:54: destinations.hubspot.type: found 'HubSpot'; allowed: a name of lower-case letters, digits and _ that starts with a letter. Did you mean 'hubspot'?",
    ),
    (
        'name: "{project} | {campaign}"',
        'name: "{project}"',
        "shop.yaml:57: destinations.hubspot.membership: campaigns winback and vip would share the list 'northwind-home'; allowed: a name that holds {campaign}.",
    ),
    (
        'name: "{project} | {campaign}"',
        'name: "{project} | {campain}"',
        "shop.yaml:57: destinations.hubspot.membership.name: found '{project} | {campain}'; allowed: a name that may hold {project}, {campaign}, {segment}, {strategy}, {destination}. Did you mean '{campaign}'?",
    ),
    (
        "as: static_list",
        "as: dynamic_list",
        "shop.yaml:57: destinations.hubspot.membership.as: found 'dynamic_list'; allowed: static_list, list. Did you mean 'static_list'?",
    ),
    (
        "{per_10s: 190}",
        "{per_minute: 190}",
        "shop.yaml:59: destinations.hubspot.rate_limit: found a mapping with per_minute; allowed: requests in a stretch of time, such as {per_10s: 190, per_1d: 250000}.",
    ),
    (
        "{per_10s: 190}",
        "{per_10s: 190}\n    reconcile_every: always",
        "shop.yaml:60: destinations.hubspot.reconcile_every: found 'always'; allowed: every_run, never, or an age such as 7d.",
    ),
    (
        "{per_10s: 190}",
        "{per_10s: 190}\n    reconcile_every: everyrun",
        "shop.yaml:60: destinations.hubspot.reconcile_every: found 'everyrun'; allowed: every_run, never, or an age such as 7d. Did you mean 'every_run'?",
    ),
    (
        "{per_10s: 190}",
        "{per_10s: 190}\n    reconcile_every: 7",
        "shop.yaml:60: destinations.hubspot.reconcile_every: found 7; allowed: every_run, never, or an age such as 7d.",
    ),
    (
        "    segment: at_risk",
        "    segment: at_rsk",
        "shop.yaml:63: campaigns.winback.segment: no segment is named 'at_rsk'; allowed: champions, at_risk, big. Did you mean 'at_risk'?",
    ),
    (
        "    strategy: win_back",
        "    strategy: winback",
        "shop.yaml:64: campaigns.winback.strategy: no strategy is named 'winback'; allowed: win_back, reward. Did you mean 'win_back'?",
    ),
    (
        "    to: [hubspot]",
        "    to: [hubspt]",
        "shop.yaml:65: campaigns.winback.to[0]: no destination is named 'hubspt'; allowed: hubspot, lake. Did you mean 'hubspot'?",
    ),
    (
        "    to: [hubspot]",
        "    to: [hubspot, hubspot]",
        "shop.yaml:65: campaigns.winback.to[1]: the destination 'hubspot' is given twice.",
    ),
    (
        "    to: [hubspot]",
        "    to: []",
        "shop.yaml:65: campaigns.winback.to: found an empty list; allowed: at least one entry.",
    ),
    (
        "no_contact: 10%}\n    goal",
        "no_contact: 15%}\n    goal",
        "shop.yaml:66: campaigns.winback.arms: the arms add up to 105%; allowed: 100%.",
    ),
    (
        "no_contact: 10%}\n    goal",
        "control: 10%}\n    goal",
        "shop.yaml:66: campaigns.winback.arms.control: unknown key; allowed: treatment, business_as_usual, no_contact.",
    ),
    (
        "no_contact: 10%}\n    goal",
        "no_contact: 10}\n    goal",
        "shop.yaml:66: campaigns.winback.arms.no_contact: found 10; allowed: a percent between 0% and 100%, with its sign: 5% (a bare 5 or 0.05 could mean either).",
    ),
    (
        "treatment: 85%, business_as_usual: 5%, ",
        "treatment: 0%, business_as_usual: 90%, ",
        "shop.yaml:66: campaigns.winback.arms: nobody is treated; allowed: treatment above 0%.",
    ),
    (
        "goal: revenue_per_person_30d",
        "goal: revenue_per_person",
        "shop.yaml:67: campaigns.winback.goal: no metric is named 'revenue_per_person'; allowed: revenue_per_person_30d, orders_per_person_60d, conversion_30d, margin_per_person_30d, margin_per_person_90d, aov_30d, repeat_rate_60d, retention_90d, clv_growth, click_rate, unsubscribe_rate, conversion. Did you mean 'revenue_per_person_30d'?",
    ),
    (
        "start: 2026-03-02",
        "start: 2.3.2026",
        "shop.yaml:68: campaigns.winback.start: found '2.3.2026'; allowed: a day as YYYY-MM-DD, such as 2026-03-02.",
    ),
    (
        "start: 2026-03-02",
        "start: 2026-02-30",
        "shop.yaml:68: campaigns.winback.start: found '2026-02-30'; allowed: a day that exists, as YYYY-MM-DD.",
    ),
    (
        "end: 2026-06-30",
        "end: 2026-03-01",
        "shop.yaml:69: campaigns.winback.end: ends 2026-03-01, before it starts on 2026-03-02; allowed: 2026-03-02 or later (the last day is included).",
    ),
    (
        "subject: content.subject",
        "subject: content.subjct",
        "shop.yaml:70: campaigns.winback.properties.subject: no content of strategy win_back is named 'subjct'; allowed: subject. Did you mean 'subject'?",
    ),
    (
        "offer: strategy.offer, subject",
        "offer: strategy.ofer, subject",
        "shop.yaml:70: campaigns.winback.properties.offer: no strategy value is named 'ofer'; allowed: offer, objective, name. Did you mean 'offer'?",
    ),
    (
        "offer: strategy.offer, subject",
        "rfm_group: strategy.offer, subject",
        "shop.yaml:70: campaigns.winback.properties.rfm_group: the destination hubspot writes this property already; allowed: one owner for each property. Name it differently here, or drop it there.",
    ),
    (
        "    properties: {rfm_group: rfm.group}",
        "    properties: {rfm_group: rfm.grp}",
        "shop.yaml:58: destinations.hubspot.properties.rfm_group: no RFM column is named 'grp'; allowed: r, f, m, cell, group. Did you mean 'group'?",
    ),
    (
        "    properties: {rfm_group: rfm.group}",
        "    properties: {offer_sent: strategy.offer}",
        "shop.yaml:58: destinations.hubspot.properties.offer_sent: found 'strategy.offer', which belongs to a campaign; allowed: a feature, score or profile column, such as rfm.group.",
    ),
    (
        "    no_contact_list: true",
        "    no_contact_list: yes",
        "shop.yaml:71: campaigns.winback.no_contact_list: found 'yes'; allowed: true or false. Did you mean true?",
    ),
    (
        "    arms: {treatment: 90%, no_contact: 10%}",
        "    arms: {treatment: 90%, business_as_usual: 10%}\n    no_contact_list: true",
        "shop.yaml:78: campaigns.vip.no_contact_list: there is no no_contact arm to put on a list; allowed: false, or an arm no_contact.",
    ),
    (
        "budget: {per_run: 900}",
        "budget: 900",
        "shop.yaml:72: campaigns.winback.budget: found 900; allowed: a mapping with per_run.",
    ),
    (
        "    strategy: reward",
        "    strategy: reward\n    budget: {per_run: 900}",
        "shop.yaml:76: campaigns.vip.budget: a budget, but strategy reward names no costs. Give the strategy cost_per_contact or cost_per_redemption.",
    ),
    (
        "order: [at_risk, champions]}",
        "order: [at_risk, big]}",
        "shop.yaml:78: campaigns.vip.properties.offer: campaign winback writes this property at hubspot, too, and nobody says which of them wins for a person in both. Put at_risk and champions in one priority list.",
    ),
    (
        "  global: {name: universal,",
        "  global: {name: vip,",
        "shop.yaml:81: holdouts.global.name: a campaign is named 'vip', too; allowed: a name that no campaign has.",
    ),
    (
        "exempt_campaigns: [vip]",
        "exempt_campaigns: [vipp]",
        "shop.yaml:81: holdouts.global.exempt_campaigns[0]: no campaign is named 'vipp'; allowed: winback, vip. Did you mean 'vip'?",
    ),
    (
        "share: 5%,",
        "share: 100%,",
        "shop.yaml:81: holdouts.global.share: holds everybody out; allowed: less than 100%.",
    ),
    (
        '  conversion: {share: "orders >= 1", window: 30d}',
        '  conversion: {share: "orders >= 1", count: orders, window: 30d}',
        "shop.yaml:83: metrics.conversion: found count and share; allowed: exactly one of sum, count, share, ratio, delta.",
    ),
    (
        '  conversion: {share: "orders >= 1", window: 30d}',
        '  conversion: {share: "orders >= 1"}',
        "shop.yaml:83: metrics.conversion.window: is missing.",
    ),
    (
        '  conversion: {share: "orders >= 1", window: 30d}',
        "  conversion: {count: sessions, window: 30d}",
        "shop.yaml:83: metrics.conversion.count: found 'sessions'; allowed: orders, order_items, events, returns, redemptions, email_sends, email_deliveries, email_opens, email_clicks, email_bounces, unsubscribes.",
    ),
    (
        '  conversion: {share: "orders >= 1", window: 30d}',
        "  conversion: {sum: net_revenue, window: 30d, winsorise: 99.9%}",
        "shop.yaml:83: metrics.conversion.winsorise: found '99.9%'; allowed: a percent of the people whose value is not zero, such as 99.9% of non-zero (where few buy, 99.9% of everybody is zero).",
    ),
    (
        '  conversion: {share: "orders >= 1", window: 30d}',
        '  conversion: {share: "unsubscribed", window: 30d, guardrail: {max_increase: 0.3%}}',
        "shop.yaml:83: metrics.conversion.guardrail.max_increase: found '0.3%'; allowed: percentage points, such as 0.3pp (a percent could be a share of the rate).",
    ),
    (
        '  conversion: {share: "orders >= 1", window: 30d}',
        "  conversion: {sum: net_revenue, window: 30d, guardrail: {max_increase: 0.3pp}}",
        "shop.yaml:83: metrics.conversion.guardrail: limits a sum; allowed: a limit in percentage points, of a share or a ratio.",
    ),
    (
        "goal: revenue_per_person_30d",
        "goal: aov_30d",
        "shop.yaml:67: campaigns.winback.goal: is a ratio: who buys is sorted by the campaign itself; allowed: a number of each person, such as its numerator, with the ratio in also_report.",
    ),
    (
        "start: 2026-03-02",
        "start: 2026-03-02\n    decide_on: 2026-03-02",
        "shop.yaml:69: campaigns.winback.decide_on: is 2026-03-02, and it starts on 2026-03-02; allowed: a day after the start, when windows have closed.",
    ),
    (
        "  confidence: 0.95",
        "  min_expected_buyers: {directional: 10, verdict: 20}",
        "shop.yaml:85: measurement.min_expected_buyers: says nothing below 20 and gives a verdict from 10; allowed: `verdict` (below it nothing is said) no larger than `directional`.",
    ),
    (
        "  confidence: 0.95",
        "  verdicts: [win, loss]",
        "shop.yaml:85: measurement.verdicts: found a list; allowed: exactly these words: win, loss, flat, directional_only, not_enough_data, do_not_trust (the list is closed).",
    ),
    (
        "  confidence: 0.95",
        "  also_report: [conversions]",
        "shop.yaml:85: measurement.also_report[0]: no metric is named 'conversions'; allowed: revenue_per_person_30d, orders_per_person_60d, conversion_30d, margin_per_person_30d, margin_per_person_90d, aov_30d, repeat_rate_60d, retention_90d, clv_growth, click_rate, unsubscribe_rate, conversion. Did you mean 'conversion'?",
    ),
    (
        "  confidence: 0.95",
        "  estimator: {cuped: no}",
        "shop.yaml:85: measurement.estimator.cuped: found 'no'; allowed: none, or a stretch of whole days such as 90d. Did you mean 'none'?",
    ),
    (
        "  confidence: 0.95",
        "  confidence: 95",
        "shop.yaml:85: measurement.confidence: found 95; allowed: a number between 0 and 1, such as 0.95, or the same as a percent, 95%.",
    ),
    (
        "  removals_above: 20%",
        "  removal_above: 20%",
        "shop.yaml:87: guards.removal_above: unknown key; allowed: source_rows_drop_above, empty_segment, removals_above, additions_above, new_billable_profiles_above, needs_approval, plan_max_age. Did you mean 'removals_above'?",
    ),
    (
        "over_people: 20000",
        "over_people: 20k",
        "shop.yaml:88: guards.needs_approval.over_people: found '20k'; allowed: a whole number.",
    ),
    (
        "report: {out: ./out/report.html}",
        "report: {out: ./out/report.html}\ncampagins: {}",
        "shop.yaml:90: campagins: unknown key; allowed: version, project, sources, tables, quality, identity, consent, exclusion_lists, features, models, stability, segments, priority_lists, strategies, destinations, campaigns, budgets, holdouts, metrics, measurement, guards, report. Did you mean 'campaigns'?",
    ),
    (
        "holdouts:",
        "holdout:",
        "shop.yaml:79: holdout: unknown key; allowed: version, project, sources, tables, quality, identity, consent, exclusion_lists, features, models, stability, segments, priority_lists, strategies, destinations, campaigns, budgets, holdouts, metrics, measurement, guards, report. Did you mean 'holdouts'?",
    ),
    (
        '  assign: {salt: "${HOLDOUT_SALT}"}',
        "  assign: {}",
        "shop.yaml:80: holdouts.assign.salt: is missing.",
    ),
    (
        '  assign: {salt: "${HOLDOUT_SALT}"}',
        "  assign: {salt: s3cret}",
        'shop.yaml:80: holdouts.assign.salt: a secret is written out (it is not repeated here); allowed: the name of an environment variable, such as "${HOLDOUT_SALT}".',
    ),
    (
        '    token: "${HUBSPOT_TOKEN}"',
        "    token: pat-na1-aaaa",
        'shop.yaml:55: destinations.hubspot.token: a secret is written out (it is not repeated here); allowed: the name of an environment variable, such as "${HUBSPOT_TOKEN}".',
    ),
    (
        '    token: "${HUBSPOT_TOKEN}"',
        '    token: "${HUBSPOT_TOKN}"',
        "shop.yaml:55: destinations.hubspot.token: the environment variable HUBSPOT_TOKN is not set. Set it before the run.",
    ),
    (
        '    token: "${HUBSPOT_TOKEN}"',
        "    token: ",
        'shop.yaml:55: destinations.hubspot.token: found nothing, where a secret belongs; allowed: the name of an environment variable, such as "${HUBSPOT_TOKEN}".',
    ),
    (
        "    properties: {rfm_group: rfm.group}",
        "    propertes: {rfm_group: rfm.group}",
        "shop.yaml:58: destinations.hubspot.propertes: unknown key. Did you mean 'properties'?",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), CASES, ids=[case[1].strip()[:50] for case in CASES]
)
def test_message(old: str, new: str, message: str) -> None:
    assert message_of(broken(old, new)) == message


def test_a_ranking_needs_a_price() -> None:
    text = broken("    budget: {per_run: 900}", "    budget: {per_run: 9}\n    rank_by: score")
    free = text.replace("cost_per_contact: 0.02", "cost_per_contact: 0")
    assert message_of(free) == (
        "shop.yaml:73: campaigns.winback.rank_by: ranks people for a budget, but a contact costs nothing. Give the strategy a cost_per_contact."
    )
