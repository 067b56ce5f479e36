"""The identity section: what it may say, what it means, and what is said of mistakes."""

import pytest

from connector.config import parse_config
from connector.pipeline.specs import identity_spec, stitches_devices
from connector.profiles.spec import IdentitySpec, WhenApart
from tests.config.shop import ENVIRON, FULL, broken, message_of

MAPPED = broken(
    "    columns: {customer_id: id, email: email}\n    tests",
    "    columns: {customer_id: id, email: email, phone: phone}\n    tests",
).replace(
    "quality:\n",
    "  events:\n    from: shop.events\n    columns: {event_id: id, event: name, occurred_at: at,"
    " customer_id: who, anonymous_id: device}\nquality:\n",
)
"""A file that maps every kind of key."""

WHOLE = """\
identity:                          # deterministic stitch; over-merge is the failure to fear
  unit: person
  ids: [customer_id, email, phone, anonymous_id]
  normalise: {email: [trim, lower], phone: [e164]}
  edges: [{from: customers, ids: [customer_id, email, phone]},
          {from: events, ids: [customer_id, anonymous_id]}]
  never_merge_on: {email: ["*@example.com", "team@*", "info@*", "support@*", "noreply@*"]}
  limits: {customer_id_per_person: 1, anonymous_id_per_person: 200, on_breach: quarantine}
"""


def spec(section: str, text: str = MAPPED) -> IdentitySpec:
    """What a section means to stitching."""
    whole = text.replace("identity:\n  max_customers_per_email: 5\n", section)
    config = parse_config(whole, ENVIRON)
    assert stitches_devices(config) == ("anonymous_id" in config.identity.ids)
    return identity_spec(config)


def test_without_a_word_addresses_alone_are_stitched():
    assert spec("") == IdentitySpec()
    assert spec("identity: {}\n") == IdentitySpec(
        ids=("customer_id", "email"), when_apart=WhenApart.KEEP
    )


def test_the_short_form_is_a_list_of_addresses():
    short = spec('identity:\n  never_merge_on: ["info@*", "team@*"]\n  shared_email: quarantine\n')
    long = spec(
        'identity:\n  never_merge_on: {email: ["info@*", "team@*"]}\n  shared_email: quarantine\n'
    )
    assert short == long
    assert short.never_merge_on == ("info@*", "team@*")
    assert spec('identity:\n  never_merge_on: "info@*"\n').never_merge_on == ("info@*",)


def test_the_whole_section():
    assert spec(WHOLE) == IdentitySpec(
        never_merge_on=("*@example.com", "team@*", "info@*", "support@*", "noreply@*"),
        ids=("customer_id", "email", "phone", "anonymous_id"),
        max_customers=1,
        max_devices=200,
        when_apart=WhenApart.SPLIT,
    )


def test_who_names_the_keys_lets_people_split_unless_told_otherwise():
    assert spec("identity: {ids: [customer_id, email]}\n").when_apart is WhenApart.SPLIT
    kept = "identity: {ids: [customer_id, email], when_apart: keep}\n"
    assert spec(kept).when_apart is WhenApart.KEEP
    assert spec("identity: {when_apart: split}\n").when_apart is WhenApart.SPLIT


def test_patterns_are_kept_out_of_repr():
    text = MAPPED.replace("identity:\n  max_customers_per_email: 5\n", WHOLE)
    config = parse_config(text, ENVIRON)
    assert "example.com" not in repr(config.identity)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            "identity: {ids: [email]}",
            "identity.ids: customer_id is missing. It is what the other keys belong to.",
        ),
        (
            "identity: {ids: [customer_id, email, email]}",
            "identity.ids: the key email is given twice.",
        ),
        (
            "identity: {ids: [customer_id, mail]}",
            "identity.ids[1]: found 'mail'; allowed: customer_id, email, phone, anonymous_id."
            " Did you mean 'email'?",
        ),
        (
            "identity: {country: Germany}",
            "identity.country: found 'Germany'; allowed: the two letters of a country, such as DE.",
        ),
        (
            "identity: {normalise: {email: [trim]}}",
            "identity.normalise.email: found a list; allowed: [trim, lower], which is how every"
            " address is compared.",
        ),
        (
            'identity: {ids: [customer_id, phone], never_merge_on: {phone: ["030 123*"]}}',
            "identity.never_merge_on.phone: found a list; allowed: patterns of whole numbers as"
            " E.164 writes them, such as +4930555*.",
        ),
        (
            "identity: {limits: {phone_per_person: 3}}",
            "identity.limits.phone_per_person: phone is not in identity.ids, so this has no"
            " effect.",
        ),
        (
            'identity: {never_merge_on: {anonymous_id: ["kiosk*"]}}',
            "identity.never_merge_on.anonymous_id: anonymous_id is not in identity.ids, so this"
            " has no effect.",
        ),
        (
            "identity: {limits: {customer_id_per_person: 0}}",
            "identity.limits.customer_id_per_person: found 0; allowed: 1 or more.",
        ),
        (
            "identity: {limits: {on_breach: merge}}",
            "identity.limits.on_breach: found 'merge'; allowed: quarantine.",
        ),
        (
            "identity: {ids: [customer_id, email], edges: [{from: events, ids: [customer_id,"
            " email]}]}",
            "identity.edges[0].ids[1]: no key of events is named 'email'; allowed: customer_id,"
            " anonymous_id.",
        ),
        (
            "identity: {ids: [customer_id, email, phone], edges: [{from: customers, ids:"
            " [customer_id, email]}]}",
            "identity.edges: no edge holds phone, which identity.ids names.",
        ),
        (
            "identity: {edges: [{from: customers, ids: [customer_id, email, phone]}]}",
            "identity.edges[0].ids[2]: no key of identity.ids is named 'phone'; allowed:"
            " customer_id, email.",
        ),
        (
            "identity: {edges: [{from: customers, ids: [email, phone]}], ids: [customer_id, email,"
            " phone]}",
            "identity.edges[0].ids: customer_id is missing.",
        ),
    ],
)
def test_mistakes_are_told(section, told):
    text = MAPPED.replace("identity:\n  max_customers_per_email: 5", section)
    assert told in message_of(text)


def test_keys_that_no_table_holds():
    text = broken(
        "identity:\n", "identity:\n  ids: [customer_id, email, phone, anonymous_id]\n", FULL
    )
    said = message_of(text)
    assert (
        "identity.ids: phone needs the column(s) phone of customers, which are not mapped. Map them"
        " under tables.customers.columns, or take phone out." in said
    )
    assert "anonymous_id needs the column(s) customer_id, anonymous_id of events" in said
