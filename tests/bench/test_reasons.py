"""The bench of reasons at toy size: the parts that it checks add up."""

from bench import reasons


def test_reasons_are_measured_and_add_up() -> None:
    found = reasons.measure("logistic", n_people=300, n_trained=1_000)
    assert found["off"] < 1e-9
    assert found["seconds"] > 0
