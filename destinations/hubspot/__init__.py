"""HubSpot: contact properties and static lists, through the official client over our own HTTP.

``adapter`` is the destination; ``records``, ``lists`` and ``schema`` each hold one translation of
it; ``client`` runs the generated API objects of ``hubspot-api-client`` over
:class:`destinations.http.HttpClient`; ``answers`` reads HubSpot's answers; ``properties`` knows
names, types and values of contact properties.
"""

from destinations.hubspot.adapter import HubSpot

__all__ = ["HubSpot"]
