"""What can be made to go wrong, on purpose and on cue.

Two kinds. A :class:`Fault` hits whole requests: it names a pattern, how many matching requests to
let pass first, how many to hit, and what happens to them. :class:`RecordFaults` hit single records
inside batches, as bad data does. Nothing here is
random: a test that fails can be run again.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field

from .answers import PropertyProblem

ALWAYS = 1_000_000_000
"""A number of times that no test reaches."""


class Effect(enum.StrEnum):
    """What happens to a request that a fault hits."""

    STATUS = "status"
    """It is answered with the fault's status; nothing is applied."""
    RATE_LIMIT = "rate_limit"
    """It is answered with 429 under the fault's policy; nothing is applied."""
    DROP_BEFORE = "drop_before"
    """The connection breaks; nothing is applied."""
    DROP_AFTER = "drop_after"
    """It is applied, then the connection breaks without an answer."""
    STALL_BEFORE = "stall_before"
    """It waits, then is applied and answered."""
    STALL_AFTER = "stall_after"
    """It is applied, and answered only after the wait."""
    KILL_BEFORE = "kill_before"
    """The client's process gets SIGKILL; nothing is applied."""
    KILL_AFTER = "kill_after"
    """It is applied, then the client's process gets SIGKILL; no answer."""


@dataclass(slots=True)
class Fault:
    """One planned failure.

    Attributes:
        effect: What happens.
        path: Regular expression searched in "METHOD /path", e.g. ``"POST .*/batch/update"``.
        skip: How many matching requests pass unharmed first.
        times: How many are hit after that.
        status: For STATUS.
        policy: For RATE_LIMIT: TEN_SECONDLY_ROLLING, DAILY or SECONDLY.
        seconds: For STALL_BEFORE and STALL_AFTER.
        pid: For KILL_BEFORE and KILL_AFTER.
    """

    effect: Effect
    path: str = ".*"
    skip: int = 0
    times: int = 1
    status: int = 500
    policy: str = "TEN_SECONDLY_ROLLING"
    seconds: float = 0.0
    pid: int = 0

    def __post_init__(self) -> None:
        self.effect = Effect(self.effect)
        re.compile(self.path)

    def hits(self, request: str) -> bool:
        """Whether this request is hit; counts it."""
        if self.times <= 0 or re.search(self.path, request) is None:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass
class RecordFaults:
    """Bad records, by e-mail (lower case) or record id.

    Attributes:
        poisoned: A write batch that holds one is refused as a whole (400), with this error code.
        rejected: A write of one is refused alone, with this error code, where the endpoint can say
            so.
        swallowed: Writes are applied but the answer does not mention the record.
    """

    poisoned: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    swallowed: set[str] = field(default_factory=set)

    def poison_in(self, *names: str) -> PropertyProblem | None:
        """The problem to report when one of the record's names is poisoned."""
        return _problem(self.poisoned, names)

    def rejection_of(self, *names: str) -> PropertyProblem | None:
        """The problem to report when one of the record's names is rejected."""
        return _problem(self.rejected, names)

    def swallows(self, *names: str) -> bool:
        """Whether the answer stays silent about this record."""
        return any(name in self.swallowed for name in names)


@dataclass
class Knobs:
    """Behaviour that can be changed while the server runs.

    Attributes:
        latency_s: Every answer takes at least this long.
        omit_empty: Leave empty arrays out of answers.
        membership_lag_s: Reads of a list see a change only after this many seconds ...
        membership_lag_reads: ... and only after this many reads.
        faults: Planned failures, tried in order; the first that hits counts.
        records: Bad records.
    """

    latency_s: float = 0.0
    omit_empty: bool = False
    membership_lag_s: float = 0.0
    membership_lag_reads: int = 0
    faults: list[Fault] = field(default_factory=list)
    records: RecordFaults = field(default_factory=RecordFaults)

    def strike(self, request: str) -> Fault | None:
        """The fault that hits this request, if any."""
        struck = next((fault for fault in self.faults if fault.hits(request)), None)
        self.faults = [fault for fault in self.faults if fault.times > 0]
        return struck


def _problem(codes: dict[str, str], names: tuple[str, ...]) -> PropertyProblem | None:
    for name in names:
        if name and name in codes:
            message = (
                "Email address is invalid" if "EMAIL" in codes[name] else "Property is not valid"
            )
            return PropertyProblem("email", codes[name], message)
    return None
