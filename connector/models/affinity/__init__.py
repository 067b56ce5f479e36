"""Product affinity: topics of what people buy, and how much each person leans to each.

* :func:`fit` finds the topics, :class:`AffinityModel` gives people their shares.
* :func:`relabel` passes the labels of the model in use on to a retrained one, or refuses it.
"""

from connector.models.affinity.fit import AffinitySpec, fit
from connector.models.affinity.model import KIND, AffinityModel
from connector.models.handover import Relabelled, relabel

__all__ = ["KIND", "AffinityModel", "AffinitySpec", "Relabelled", "fit", "relabel"]
