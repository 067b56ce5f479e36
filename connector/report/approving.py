"""What to type so that a plan which guards hold goes on.

Every guard but one asks whether somebody meant what the plan says. The guard on the sources says
that the plan itself may be wrong: with half of the consents gone it would take everybody off, and
whoever pastes a command does not read it. So that approval is never part of a command: it is named
in words, as the last resort.
"""

from __future__ import annotations

from collections.abc import Collection

SOURCE = "source"
"""The guard on a broken source."""

REPAIR_FIRST = (
    "Repair the source and plan again first: what it has lost looks as if people had left. Only"
    " where the rows are gone for good, and as the last resort, approve the guard source by hand."
)


def command(guards: Collection[str], *, folder: str = "") -> str:
    """The command that comes next.

    Args:
        guards: Names of the guards that hold the plan; empty: none does.
        folder: Where the plan was copied to; empty: it is the newest one.
    """
    if SOURCE in guards:
        return "liftline plan"
    words = ["liftline apply", folder, f"--approve {','.join(sorted(guards))}" if guards else ""]
    return " ".join(filter(None, words))


def advice(guards: Collection[str]) -> str:
    """What to do before the command; empty where there is nothing to say."""
    return REPAIR_FIRST if SOURCE in guards else ""
