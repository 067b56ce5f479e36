"""What becomes of a frame before it is learned from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from connector.models.propensity.inputs import fit_inputs


def test_twins_are_one_feature():
    frame = pd.DataFrame(
        {
            "tenure_days": [1.0, 2.0, np.nan, 4.0],
            "first_order_age_days": [1.0, 2.0, np.nan, 4.0],
            "nearly": [1.0, 2.0, np.nan, 4.5],
        }
    )
    inputs = fit_inputs(frame, drop_missing_above=0.6)
    assert inputs.features == ("tenure_days", "nearly")
    assert inputs.left_out == {
        "first_order_age_days": "it is the same as tenure_days for everybody"
    }
