"""Good configurations that the tests break, and how they break them."""

from __future__ import annotations

import pytest

from connector.config import InvalidConfigError, parse_config

ENVIRON = {"HUBSPOT_TOKEN": "canary-token-1", "HOLDOUT_SALT": "canary-salt-2-long"}

MINIMAL = """\
project: {name: northwind-home}
sources:
  shop: {type: duckdb, path: shop.duckdb}
tables:
  customers:
    from: shop.customers
    columns: {customer_id: id, email: email}
  orders:
    from: shop.orders
    columns: {order_id: id, customer_id: customer_id, ordered_at: created_at, gross: total}
consent:
  from: shop.consents
  columns: {person: email, purpose: purpose, channel: channel, status: status, at: changed_at}
segments:
  champions: {from: rfm.champions}
destinations:
  hubspot:
    type: hubspot
    token: "${HUBSPOT_TOKEN}"
    requires: {purpose: marketing, channel: email}
campaigns:
  vip: {segment: champions, to: hubspot}
holdouts:
  assign: {salt: "${HOLDOUT_SALT}"}
"""
"""All that is needed."""

FULL = """\
version: 1
project:
  name: northwind-home
  timezone: Europe/Berlin
  currency: EUR
  as_of: now
  state: ./state
sources:
  shop: {type: duckdb, path: ./shop.duckdb}
  files: {type: csv, path: "./data/*.csv"}
tables:
  customers:
    from: shop.customers
    columns: {customer_id: id, email: email}
    tests: [{unique: customer_id}, {valid_email: {column: email, warn_above: 1%}}]
    freshness: {column: updated_at, warn_after: 26h, error_after: 50h}
  orders:
    from: files
    columns: {order_id: id, customer_id: customer_id, ordered_at: created_at, gross: total}
    tests: [{relationship: {column: customer_id, to: customers}}]
    dedupe: exact
quality:
  max_order_value: 50000
identity:
  max_customers_per_email: 5
consent:
  from: shop.consents
  columns: {person: email, purpose: purpose, channel: channel, status: status, at: changed_at}
  granted: [granted, "yes"]
  purposes: [marketing, profiling]
exclusion_lists:
  - {name: suppressed, from: shop.suppressions, key: email}
  - {name: open_ticket, where: "open_tickets > 0", applies_to: [winback]}
models:
  rfm:
    window: 730d
    recency: {method: quantile, bins: 5}
    frequency: {method: fixed, edges: [2, 3, 4, 6]}
    groups:
      - {name: champions, r: 4-5, f: 4-5, m: 4-5}
      - {name: at_risk, r: 1-2, f: 3-5, m: 1-5}
      - {name: others, r: 1-5, f: 1-5, m: 1-5}
segments:
  champions: {from: rfm.champions, tags: [rfm]}
  at_risk: {any: [rfm.at_risk, rfm.lapsed]}
  big: {where: "monetary_365d >= 300"}
priority_lists:
  - {name: lifecycle, order: [at_risk, champions]}
strategies:
  win_back: {offer: 15_percent, cost_per_contact: 0.02, content: {subject: "Hello ${first_name}"}}
  reward: {offer: early_access}
destinations:
  hubspot:
    type: hubspot
    token: "${HUBSPOT_TOKEN}"
    requires: {purpose: marketing, channel: email}
    membership: {as: static_list, name: "{project} | {campaign}"}
    properties: {rfm_group: rfm.group}
    rate_limit: {per_10s: 190}
  lake: {type: csv_export, path: ./out, requires: none_internal}
campaigns:
  winback:
    segment: at_risk
    strategy: win_back
    to: [hubspot]
    arms: {treatment: 85%, business_as_usual: 5%, no_contact: 10%}
    goal: revenue_per_person_30d
    start: 2026-03-02
    end: 2026-06-30
    properties: {offer: strategy.offer, subject: content.subject}
    no_contact_list: true
    budget: {per_run: 900}
  vip:
    segment: champions
    strategy: reward
    to: [hubspot, lake]
    arms: {treatment: 90%, no_contact: 10%}
    properties: {offer: strategy.offer}
holdouts:
  assign: {salt: "${HOLDOUT_SALT}"}
  global: {name: universal, share: 5%, exempt_campaigns: [vip]}
metrics:
  conversion: {share: "orders >= 1", window: 30d}
measurement:
  confidence: 0.95
guards:
  removals_above: 20%
  needs_approval: {first_sync: true, over_people: 20000}
report: {out: ./out/report.html}
"""
"""Every section at least once."""


def broken(old: str, new: str, text: str = FULL) -> str:
    """The text with its one occurrence of ``old`` replaced."""
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    return text.replace(old, new)


def message_of(text: str, environ: dict[str, str] | None = None) -> str:
    """What is said of a configuration that cannot be used."""
    with pytest.raises(InvalidConfigError) as caught:
        parse_config(text, ENVIRON if environ is None else environ, name="shop.yaml")
    return str(caught.value)
