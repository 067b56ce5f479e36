"""Finding destination adapters by entry point, ours and third parties' alike.

The engine never imports an adapter: what is installed under ``liftline.destinations`` is what there
is.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from connector.errors import AdapterError, ConfigError
from connector.ports import Destination

GROUP = "liftline.destinations"


def adapters() -> dict[str, EntryPoint]:
    """Every installed adapter by its type name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def build(type_name: str, name: str, options: Mapping[str, Any]) -> Destination:
    """Make one destination.

    Args:
        type_name: The configuration's ``type``.
        name: The destination's name in the configuration.
        options: Its options, secrets as plain text.

    Raises:
        ConfigError: There is no such adapter, or it refuses the options.
        AdapterError: The adapter does not speak the protocol.
    """
    found = adapters()
    if type_name not in found:
        near = difflib.get_close_matches(type_name, found, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else ""
        raise ConfigError(
            f"destinations.{name}.type: there is no adapter '{type_name}';"
            f" installed are {', '.join(sorted(found)) or 'none'}.",
            hint=hint,
        )
    adapter = found[type_name].load()
    destination = adapter.from_options(name, options)
    if not isinstance(destination, Destination):
        raise AdapterError(
            f"the adapter '{type_name}' does not implement connector.ports.Destination.",
            hint="Run the conformance suite of destinations.conformance on it.",
        )
    return destination
