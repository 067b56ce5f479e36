"""Profiles: clean rows, the people behind customers, their consent, and who is left alone.

In calling order:

* :mod:`connector.profiles.customers` - ``clean_customers``.
* :mod:`connector.profiles.devices` - ``device_logins``, where devices are stitched.
* :mod:`connector.profiles.identity` - ``profile_customers``, ``profile_emails``,
  ``profile_devices``, ``profile_merges``, ``profile_splits``, ``new_keys``; from the parts
  :mod:`~connector.profiles.phones`, :mod:`~connector.profiles.evidence`,
  :mod:`~connector.profiles.components` and :mod:`~connector.profiles.naming`.
* :mod:`connector.profiles.consent` - ``consent_standing``; after the profiles, ``permissions``.
* :mod:`connector.profiles.people` - ``profiles``.
* :mod:`connector.profiles.products` - ``clean_products``.
* :mod:`connector.profiles.orders` - ``clean_orders``, ``clean_items``.
* :mod:`connector.profiles.events` - ``clean_events``, ``clean_tickets``, ``clean_social``,
  ``clean_loyalty``.
* :mod:`connector.profiles.exclusion` - ``exclusions``.
* :mod:`connector.profiles.quarantine` and :mod:`connector.profiles.quality` - what became of every
  row.
"""
