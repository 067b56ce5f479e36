"""Behavioural clusters of people that keep their labels.

* :func:`fit` finds them, :class:`ClusterModel` places people (numpy or SQL) and says why.
* :func:`relabel` passes the labels of the model in use on to a retrained one, or refuses it.
"""

from connector.models.clusters.fit import fit
from connector.models.clusters.looking import Part, cut, oddities
from connector.models.clusters.model import KIND, ClusterModel
from connector.models.clusters.spec import ClusterSpec
from connector.models.clusters.words import FeatureMeaning
from connector.models.handover import Relabelled, relabel

__all__ = [
    "KIND",
    "ClusterModel",
    "ClusterSpec",
    "FeatureMeaning",
    "Part",
    "Relabelled",
    "cut",
    "fit",
    "oddities",
    "relabel",
]
