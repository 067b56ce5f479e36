"""What is bought together, and what each person may buy next.

* :func:`fit` counts pairs into a :class:`PairsModel`.
* :func:`fit_next` learns to recommend from pairs, affinity and own history: :class:`NextModel`.
"""

from connector.models.pairs.model import KIND, PairsModel, PairSpec, fit
from connector.models.pairs.next_fit import fit_next
from connector.models.pairs.next_products import KIND as NEXT_KIND
from connector.models.pairs.next_products import NextModel, NextSpec

__all__ = [
    "KIND",
    "NEXT_KIND",
    "NextModel",
    "NextSpec",
    "PairSpec",
    "PairsModel",
    "fit",
    "fit_next",
]
