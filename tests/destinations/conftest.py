"""Sandboxes that stop in the background: waiting for each would be most of the tests' time."""

from __future__ import annotations

import pytest

from destinations.sandbox.hubspot import HubSpotSandbox


@pytest.fixture(scope="module")
def start_hubspot():
    """Starts a sandbox; ``request_stop`` ends it, the module waits for all of them."""
    started = []

    def start(**options):
        sandbox = HubSpotSandbox(**options)
        sandbox.__enter__()
        started.append(sandbox)
        return sandbox

    yield start
    for sandbox in started:
        sandbox.request_stop()
    for sandbox in started:
        sandbox.__exit__()
