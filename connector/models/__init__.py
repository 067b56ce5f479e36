"""Models: fitted on features, stored as data, applied as SQL.

* :mod:`connector.models.rfm` - recency, frequency and money by cut points.
* :mod:`connector.models.store` - fitted models as JSON.
* :mod:`connector.models.scored` - the relation that segments read.
"""
