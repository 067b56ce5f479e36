"""From features to the numbers that a model reads: one road for every kind of model.

* :mod:`connector.models.inputs.values` - numbers, words, vectors and tallies out of a frame.
* :mod:`connector.models.inputs.fit` - what is learned of them in training: medians, flags, words.
* :mod:`connector.models.inputs.matrix` - the same applied to anybody, in numpy and in SQL.
"""

from connector.models.inputs.fit import TWIN, UNKNOWN, MissingRule, fit_inputs, omissions
from connector.models.inputs.matrix import Column, Inputs, Part

__all__ = ["TWIN", "UNKNOWN", "Column", "Inputs", "MissingRule", "Part", "fit_inputs", "omissions"]
