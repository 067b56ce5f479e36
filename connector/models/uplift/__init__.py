"""Uplift: for whom treatment makes a difference, learned from past randomised arms alone.

:mod:`trials` is what is learned from, :mod:`learners` the ways to learn it, :mod:`qini` the measure
of a ranking, :mod:`judging` how a model does on unseen people beside one-column rules. :func:`fit`
puts them together and returns an :class:`UpliftModel` with its card.
"""

from connector.models.uplift.fitting import fit
from connector.models.uplift.model import UpliftModel
from connector.models.uplift.spec import KIND, PublishIf, UpliftSpec
from connector.models.uplift.trials import Trials

__all__ = ["KIND", "PublishIf", "Trials", "UpliftModel", "UpliftSpec", "fit"]
