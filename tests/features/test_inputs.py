"""What models may read."""

import pytest

from connector.errors import ConfigError
from connector.features.inputs import InputRules, allowed_inputs

RULES = InputRules(deny=frozenset({"gender"}), report_only=frozenset({"city"}))
KNOWN = ("orders_90d", "weekend_share", "gender", "city")


def test_no_names_means_all_that_are_allowed():
    assert allowed_inputs((), KNOWN, RULES) == ("orders_90d", "weekend_share")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gender", "gender is in features.deny and never an input"),
        ("city", "city may describe a segment, but not form it"),
        ("weekend_shares", "there is no feature 'weekend_shares'. | Did you mean 'weekend_share'?"),
        ("zzz", "there is no feature 'zzz'"),
    ],
)
def test_names_that_are_no_inputs_are_errors(name, said):
    with pytest.raises(ConfigError) as caught:
        allowed_inputs(("orders_90d", name), KNOWN, RULES)
    # Where it is written says whoever knows the file, once.
    assert f"{caught.value.message} | {caught.value.hint}".startswith(said)
