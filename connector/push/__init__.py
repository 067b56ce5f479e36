"""Carrying a plan out at one destination: batches, intents, answers."""

from connector.push.delivery import DestinationPush
from connector.push.report import DestinationReport, Issue

__all__ = ["DestinationPush", "DestinationReport", "Issue"]
