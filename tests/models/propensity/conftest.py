"""Small forests: the laws that are tested do not depend on the number of trees."""

from collections.abc import Iterator

import pytest

from connector.models.propensity import scorers


@pytest.fixture(scope="package", autouse=True)
def _few_trees() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorers, "FOREST_TREES", 25)
        yield
