"""What is said of broken projects, sources, tables, consent and exclusion lists.

Each case changes one place of a good file; the whole message is expected, word for word: file, line, key, what
was found, what is allowed, and what was probably meant.
"""

# ruff: noqa: E501 - messages are kept in one piece

from __future__ import annotations

import pytest

from tests.config.shop import broken, message_of

CASES = [
    (
        "version: 1",
        "version: 2",
        "shop.yaml:1: version: found 2; allowed: 1.",
    ),
    (
        "version: 1",
        'version: "1"',
        "shop.yaml:1: version: found '1'; allowed: 1.",
    ),
    (
        "project:",
        "projekt:",
        "shop.yaml:2: projekt: unknown key; allowed: version, project, sources, tables, quality, identity, consent, exclusion_lists, features, models, stability, segments, priority_lists, strategies, destinations, campaigns, budgets, holdouts, metrics, measurement, guards, report. Did you mean 'project'?",
    ),
    (
        "  name: northwind-home",
        "  name: ",
        "shop.yaml:3: project.name: found nothing; allowed: text.",
    ),
    (
        "  name: northwind-home",
        "  name: 42",
        "shop.yaml:3: project.name: found 42; allowed: text. Put it in quotes to make it text.",
    ),
    (
        "  name: northwind-home",
        "  name: north|wind",
        "shop.yaml:3: project.name: found 'north|wind'; allowed: at most 64 letters, digits, spaces and the characters . _ -.",
    ),
    (
        "Europe/Berlin",
        "Europe/Berlim",
        "shop.yaml:4: project.timezone: found 'Europe/Berlim'; allowed: a time zone of the IANA list, such as Europe/Berlin or UTC. Did you mean 'Europe/Berlin'?",
    ),
    (
        "currency: EUR",
        "currency: Euro",
        "shop.yaml:5: project.currency: found 'Euro'; allowed: a currency code of three capital letters, such as EUR.",
    ),
    (
        "as_of: now",
        "as_of: yesterday",
        "shop.yaml:6: project.as_of: found 'yesterday'; allowed: now, a day such as 2026-03-01, or an instant such as 2026-03-01T06:00:00+01:00.",
    ),
    (
        "  shop: {type: duckdb, path: ./shop.duckdb}",
        "  shop: {type: duck, path: ./shop.duckdb}",
        "shop.yaml:9: sources.shop.type: found 'duck'; allowed: type: duckdb | csv | parquet | postgres. Did you mean 'duckdb'?",
    ),
    (
        "  shop: {type: duckdb, path: ./shop.duckdb}",
        "  shop: {type: duckdb}",
        "shop.yaml:9: sources.shop.path: is missing.",
    ),
    (
        "  shop: {type: duckdb, path: ./shop.duckdb}",
        "  shop: {type: postgres}",
        "shop.yaml:9: sources.shop.dsn: is missing.",
    ),
    (
        "  shop: {type: duckdb, path: ./shop.duckdb}",
        '  shop: {type: postgres, dsn: "postgresql://jane:s3cret@db/shop"}',
        'shop.yaml:9: sources.shop.dsn: a secret is written out (it is not repeated here); allowed: the name of an environment variable, such as "${SHOP_DSN}".',
    ),
    (
        "  shop: {type: duckdb, path: ./shop.duckdb}",
        '  shop: {type: postgres, dsn: "${HUBSPOT_TOKEN}", path: ./shop.duckdb}',
        "shop.yaml:9: sources.shop.path: unknown key; allowed: type, dsn, schema.",
    ),
    (
        "  shop: {type: duckdb, path: ./shop.duckdb}",
        "  Shop: {type: duckdb, path: ./shop.duckdb}",
        "shop.yaml:9: sources.Shop: the name 'Shop'; allowed: a name of lower-case letters, digits and _ that starts with a letter. Did you mean 'shop'?",
    ),
    (
        "  shop: {type: duckdb, path: ./shop.duckdb}",
        "  shop: [duckdb, ./shop.duckdb]",
        "shop.yaml:9: sources.shop: found a list; allowed: a mapping with type, path.",
    ),
    (
        "    from: shop.customers",
        "    from: shopp.customers",
        "shop.yaml:13: tables.customers.from: no source is named 'shopp'; allowed: shop, files. Did you mean 'shop'?",
    ),
    (
        "    from: shop.customers",
        "    from: shop",
        "shop.yaml:13: tables.customers.from: found 'shop'; allowed: a table of the source, shop.<table>.",
    ),
    (
        "    from: files",
        "    from: files.orders",
        "shop.yaml:18: tables.orders.from: found 'files.orders'; allowed: files (csv files are one table).",
    ),
    (
        "    columns: {customer_id: id, email: email}",
        "    columns: {customerid: id, email: email}",
        "shop.yaml:14: tables.customers.columns: the column customer_id is not mapped (the shop's own id of a customer). Did you mean 'customer_id' where it says 'customerid'?",
    ),
    (
        "ordered_at: created_at, ",
        "",
        "shop.yaml:19: tables.orders.columns: the column ordered_at is not mapped (when the order was placed).",
    ),
    (
        "    columns: {customer_id: id, email: email}",
        "    columns: {customer_id: 7, email: email}",
        "shop.yaml:14: tables.customers.columns.customer_id: found 7; allowed: text. Put it in quotes to make it text.",
    ),
    (
        "  customers:",
        "  customer:",
        "shop.yaml:12: tables.customer: unknown key; allowed: customers, orders, order_items, products, events, tickets, social, loyalty. Did you mean 'customers'?",
    ),
    (
        "  customers:",
        "  clients:",
        "2 problems in shop.yaml:\n  shop.yaml:11: tables.customers: is missing.\n  shop.yaml:12: tables.clients: unknown key; allowed: customers, orders, order_items, products, events, tickets, social, loyalty. Did you mean 'events'?",
    ),
    (
        "    dedupe: exact",
        "    dedupe: fuzzy",
        "shop.yaml:21: tables.orders.dedupe: found 'fuzzy'; allowed: exact.",
    ),
    (
        "{unique: customer_id}",
        "{unike: customer_id}",
        "shop.yaml:15: tables.customers.tests[0].unike: unknown key; allowed: unique, not_null, valid_email, non_negative, relationship, accepted_values. Did you mean 'unique'?",
    ),
    (
        "{unique: customer_id}",
        "{unique: customer}",
        "shop.yaml:15: tables.customers.tests[0].unique: no mapped column is named 'customer'; allowed: customer_id, email. Did you mean 'customer_id'?",
    ),
    (
        "{unique: customer_id}",
        "{unique: customer_id, not_null: customer_id}",
        "shop.yaml:15: tables.customers.tests[0]: found unique and not_null; allowed: one test in each {...}.",
    ),
    (
        "{unique: customer_id}",
        "{}",
        "shop.yaml:15: tables.customers.tests[0]: found no test; allowed: one test in each {...}.",
    ),
    (
        "warn_above: 1%",
        "warn_above: 0.01",
        "shop.yaml:15: tables.customers.tests[1].valid_email.warn_above: found 0.01; allowed: a percent between 0% and 100%, with its sign: 5% (a bare 5 or 0.05 could mean either).",
    ),
    (
        "warn_above: 1%",
        "warn_above: 101%",
        "shop.yaml:15: tables.customers.tests[1].valid_email.warn_above: found '101%'; allowed: a percent between 0% and 100%, with its sign: 5% (a bare 5 or 0.05 could mean either).",
    ),
    (
        "to: customers}",
        "to: products}",
        "shop.yaml:20: tables.orders.tests[0].relationship.to: no configured table is named 'products'; allowed: customers, orders.",
    ),
    (
        "warn_after: 26h",
        "warn_after: 26",
        "shop.yaml:16: tables.customers.freshness.warn_after: found 26; allowed: a duration with its unit, such as 30d, 26h, 90m or 2w.",
    ),
    (
        "warn_after: 26h",
        "warn_after: 0h",
        "shop.yaml:16: tables.customers.freshness.warn_after: found '0h'; allowed: a duration of more than nothing, 1m (one minute) or longer.",
    ),
    (
        "warn_after: 26h",
        "warn_after: 26 hours",
        "shop.yaml:16: tables.customers.freshness.warn_after: found '26 hours'; allowed: a duration with its unit, such as 30d, 26h, 90m or 2w.",
    ),
    (
        "warn_after: 26h",
        "warn_after: 60h",
        "shop.yaml:16: tables.customers.freshness: warns after 60h, but stops after 50h already; allowed: warn_after up to error_after.",
    ),
    (
        "  max_order_value: 50000",
        '  max_order_value: "50000 EUR"',
        "shop.yaml:23: quality.max_order_value: found '50000 EUR'; allowed: an amount of money as a plain number, 0 or more, such as 9.50.",
    ),
    (
        "  max_order_value: 50000",
        "  max_order_value: -5",
        "shop.yaml:23: quality.max_order_value: found -5; allowed: an amount of money as a plain number, 0 or more, such as 9.50.",
    ),
    (
        "  max_customers_per_email: 5",
        "  max_customers_per_email: 0",
        "shop.yaml:25: identity.max_customers_per_email: found 0; allowed: 1 or more.",
    ),
    (
        "  max_customers_per_email: 5",
        "  max_customers_per_email: yes",
        "shop.yaml:25: identity.max_customers_per_email: found 'yes'; allowed: a whole number.",
    ),
    (
        ", status: status, at",
        ", state: status, at",
        "shop.yaml:28: consent.columns: the column status is not mapped (granted or withdrawn (mapped from the source's own words)). Did you mean 'status' where it says 'state'?",
    ),
    (
        '  granted: [granted, "yes"]',
        "  granted: [granted, true]",
        "shop.yaml:29: consent.granted[1]: found true; allowed: text. Put it in quotes to make it text.",
    ),
    (
        '  granted: [granted, "yes"]',
        "  granted: [granted, withdrawn]",
        "shop.yaml:26: consent.withdrawn: the word 'withdrawn' means granted and withdrawn.",
    ),
    (
        "  - {name: suppressed, from: shop.suppressions, key: email}",
        "  - {name: suppressed, from: shop.suppressions, key: phone}",
        "shop.yaml:32: exclusion_lists[0].key: found 'phone'; allowed: email, customer_id, profile_id.",
    ),
    (
        "  - {name: suppressed, from: shop.suppressions, key: email}",
        "  - {name: open_ticket, from: shop.suppressions, key: email}",
        "shop.yaml:33: exclusion_lists[1].name: the list 'open_ticket' is given twice.",
    ),
    (
        "  - {name: suppressed, from: shop.suppressions, key: email}",
        "  - {name: suppressed, key: email}",
        "shop.yaml:32: exclusion_lists[0]: the list suppressed has neither from nor where; allowed: one of from, where.",
    ),
    (
        "applies_to: [winback]",
        "applies_to: [win_back]",
        "shop.yaml:33: exclusion_lists[1].applies_to[0]: no campaign is named 'win_back'; allowed: winback, vip. Did you mean 'winback'?",
    ),
    (
        "  name: northwind-home",
        '  name: "${PROJECT}"',
        "shop.yaml:3: project.name: a variable (${...}) is not read here; allowed: secrets and options of destinations, paths of sources, project.state, report.out.",
    ),
    (
        "  state: ./state",
        '  state: "${LIFTLINE_STATE}"',
        "shop.yaml:7: project.state: the environment variable LIFTLINE_STATE is not set. Set it before the run.",
    ),
    (
        "  state: ./state",
        '  state: "${LIFTLINE-STATE}/x"',
        'shop.yaml:7: project.state: a variable that is not written out; allowed: "${NAME}".',
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), CASES, ids=[case[1].strip()[:50] for case in CASES]
)
def test_message(old: str, new: str, message: str) -> None:
    assert message_of(broken(old, new)) == message
