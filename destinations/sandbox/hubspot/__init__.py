"""A local HubSpot: stateful, on a real socket, faithful in what hurts.

It stands in for HubSpot in the demo and in tests, and shares no code with the adapter that it
tests: a mistake in how we understand HubSpot must not be made twice in the same place. It is
checked against recorded real traffic and driven by HubSpot's own Python client.

::

    with HubSpotSandbox(per_10s=100) as sandbox:
        sandbox.controls.preload_contacts([{"email": "ada@example.org"}])
        sandbox.controls.drop_after("POST .*/batch/update")
        ...                                      # a client works with sandbox.url and sandbox.token
        sandbox.controls.dump()

What it does not model: associations, merging, pipelines, other objects than contacts, filters of
DYNAMIC lists, property history, consent.
"""

from __future__ import annotations

from .controls import Controls
from .server import HubSpotSandbox, RemoteSandbox, spawn

__all__ = ["Controls", "HubSpotSandbox", "RemoteSandbox", "spawn"]
