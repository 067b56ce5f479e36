"""Features: columns about a profile as of an instant, declared as data, computed in one scan.

* :mod:`connector.features.pack` - how a feature is written down.
* :mod:`connector.features.catalogue` - every pack by name, and what a run computes of them.
* :mod:`connector.features.orders`, :mod:`~connector.features.habits`,
  :mod:`~connector.features.categories` - the packs over orders and their lines.
* :mod:`connector.features.browse`, :mod:`~connector.features.email` - over events.
* :mod:`connector.features.relations` - over tickets, social interactions, loyalty bookings.
* :mod:`connector.features.demographics` - attributes of the person, and embeddings.
* :mod:`connector.features.custom` - features that a user writes.
* :mod:`connector.features.shares`, :mod:`~connector.features.expressions` - what packs are made of.
* :mod:`connector.features.build` - packs to the relation ``features``.
* :mod:`connector.features.inputs` - what a model may read of it, missing values filled.
* :mod:`connector.features.proxies` - whether an outcome stands in for a protected attribute.
"""
