"""Propensity: how likely a person is to do something within so many days, and why.

:mod:`goals` says what is predicted and makes the outcomes, :mod:`snapshots` says at which past
cut-offs, :func:`fit` compares four algorithms there and returns a :class:`PropensityModel` with its
card. :mod:`external` puts scores from elsewhere through the same judgement, :mod:`budget` spends a
limited budget by expected value, :mod:`curves` has the tables of the report.
"""

from connector.models.propensity.model import PropensityModel
from connector.models.propensity.snapshots import Snapshot, cut_offs
from connector.models.propensity.spec import KIND, PropensitySpec, PublishIf
from connector.models.propensity.training import fit

__all__ = [
    "KIND",
    "PropensityModel",
    "PropensitySpec",
    "PublishIf",
    "Snapshot",
    "cut_offs",
    "fit",
]
