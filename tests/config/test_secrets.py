"""Secrets come from the environment, and never come out again."""

# ruff: noqa: E501 - messages are kept in one piece

from __future__ import annotations

import pytest
from pydantic import SecretStr

from connector.config import InvalidConfigError, parse_config
from tests.config.shop import ENVIRON, FULL, broken, message_of

LITERALS = [
    "token: canary9f3",
    "api_key: canary9f3",
    "client_secret: canary9f3",
    "x-api-key: canary9f3",
    "password: canary9f3",
    "Authorization: Bearer canary9f3",
    "auth: {password: canary9f3}",
    "access_token: [canary9f3]",
    'token: "x${HUBSPOT_TOKEN}canary9f3"',
    'token: "canary9f3 ${HUBSPOT_TOKEN"',
    # a token in a place where none is expected
    "note: pat-na1-canary9f3",
    "note: pat-eu1-canary9f3",
    'url: "https://user:canary9f3@example.org/x"',
    "note: SG.canary9f3canary9f3",
    "match_on: pat-na1-canary9f3",
]


@pytest.mark.parametrize("literal", LITERALS)
def test_a_literal_secret_is_refused_and_never_repeated(literal: str) -> None:
    text = broken('    token: "${HUBSPOT_TOKEN}"\n', f"    {literal}\n")
    with pytest.raises(InvalidConfigError) as caught:
        parse_config(text, ENVIRON)
    assert any("secret" in str(problem) for problem in caught.value.problems)
    for said in (str(caught.value), repr(caught.value), repr(caught.value.problems)):
        assert "canary9f3" not in said
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "text",
    [
        broken("project:\n", "pat-na1-canary9f3: 1\nproject:\n"),
        broken("  name: northwind-home", "  name: pat-na1-canary9f3"),
        broken("segment: at_risk", "segment: pat-na1-canary9f3"),
        broken("type: hubspot", "type: [pat-na1-canary9f3"),
        broken('token: "${HUBSPOT_TOKEN}"', "token: {pat-na1-canary9f3: x}"),
        broken("  state: ./state", '  state: "postgresql://u:canary9f3@host/db"'),
    ],
)
def test_a_secret_in_a_wrong_place_is_not_repeated(text: str) -> None:
    assert "canary9f3" not in message_of(text)


@pytest.mark.parametrize(
    "old", ["segment: at_risk", "name: northwind-home", "type: duckdb", "key: email"]
)
def test_addresses_of_people_are_not_repeated(old: str) -> None:
    key = old.partition(":")[0]
    assert "jane.doe" not in message_of(broken(old, f"{key}: jane.doe@example.org"))


def test_secrets_do_not_show_in_a_repr() -> None:
    text = broken(
        "  lake: {type: csv_export, path: ./out, requires: none_internal}",
        '  lake: {type: csv_export, path: "./${FOLDER}", headers: {X-Key: "${KEY}"}, requires: none_internal}',
    )
    text = text.replace("state: ./state", 'state: "${STATE}"')
    environ = {
        **ENVIRON,
        "FOLDER": "canary-folder",
        "KEY": "canary-key",
        "STATE": "postgresql://u:canary-db@h/x",
    }
    config = parse_config(text, environ)
    said = [
        repr(config),
        str(config),
        repr(config.destinations),
        repr(config.project),
        repr(config.holdouts),
    ]
    said += [repr(one) for one in config.destinations.values()]
    assert not any("canary" in one for one in said)
    assert config.project.state == "postgresql://u:canary-db@h/x"
    lake = config.destinations["lake"]
    assert lake.options["path"] == SecretStr("./canary-folder")
    assert lake.adapter_options()["path"] == "./canary-folder"
    assert lake.adapter_options()["headers"] == {"X-Key": "canary-key"}
    assert config.destinations["hubspot"].adapter_options()["token"] == "canary-token-1"
    assert config.holdouts.assign.salt.get_secret_value() == ENVIRON["HOLDOUT_SALT"]


def test_all_missing_variables_are_told_at_once() -> None:
    text = broken("state: ./state", 'state: "${LIFTLINE_STATE}"')
    assert message_of(text, {"HUBSPOT_TOKEN": ""}) == (
        "3 problems in shop.yaml:\n"
        "  shop.yaml:7: project.state: the environment variable LIFTLINE_STATE is not set. Set it before the run.\n"
        "  shop.yaml:55: destinations.hubspot.token: the environment variable HUBSPOT_TOKEN is empty. Set it before the run.\n"
        "  shop.yaml:80: holdouts.assign.salt: the environment variable HOLDOUT_SALT is not set. Set it before the run."
    )


def test_paths_are_composed_of_variables() -> None:
    text = broken("path: ./shop.duckdb", 'path: "${ROOT}/${SHOP}.duckdb"')
    config = parse_config(text, {**ENVIRON, "ROOT": "/data", "SHOP": "x${ROOT}"})
    assert config.sources["shop"].path == "/data/x${ROOT}.duckdb"  # a value is never read again


def test_content_keeps_the_vendor_s_own_placeholders() -> None:
    config = parse_config(FULL, ENVIRON)
    assert config.strategies["win_back"].content == {"subject": "Hello ${first_name}"}


def test_the_digest_knows_variables_by_name_only() -> None:
    one = parse_config(FULL, ENVIRON)
    other = parse_config(FULL, {"HUBSPOT_TOKEN": "another", "HOLDOUT_SALT": "more"})
    assert one.digest == other.digest
