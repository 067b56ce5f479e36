"""Features: columns about a profile as of an instant, declared as data, computed in one scan.

* :mod:`connector.features.pack` - how a feature is written down.
* :mod:`connector.features.orders` - the packs over orders.
* :mod:`connector.features.build` - packs to the relation ``features``.
"""
