"""Finding the culprit in a batch that a vendor refuses as a whole.

The batch is halved until the culprit stands alone: one bad record of 500 is found in under 20
calls. That somebody else of the batch got through is the proof that the others are not to blame.
Without that proof a refusal may be anybody's: a property that does not exist refuses a batch of one
just as a bad value does. So a batch of which nobody got through is handed back as
:class:`UnprovenError`, and a large one is not halved to the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from connector.domain import Change, Outcome, RecordResult
from connector.errors import BatchRejectedError, DestinationError, PermanentError

Send = Callable[[Sequence[Change]], Sequence[RecordResult]]
"""One request."""


class UnprovenError(Exception):
    """Nobody of a batch got through, so that nobody knows whether the records are to blame.

    Attributes:
        refusal: What the vendor said last.
        results: One for each change; the rejections among them are what is unproven.
    """

    def __init__(self, refusal: BatchRejectedError, results: Sequence[RecordResult]) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.results = list(results)


def deliver(send: Send, changes: Sequence[Change]) -> list[RecordResult]:
    """Send a batch, halving it as long as it is refused.

    Raises:
        UnprovenError: It was refused to the last change.
        PermanentError: It is too large to be tried one by one, and nobody has got through.
        DestinationError: As the adapter raises it.
    """
    attempt = _Attempt(send, len(changes))
    results = attempt.halve(changes)
    if attempt.refusal is not None and not attempt.got_through:
        raise UnprovenError(attempt.refusal, results)
    return results


def systemic(refusal: BatchRejectedError, n_changes: int) -> PermanentError:
    """The error for a destination at which the records are not to blame."""
    return PermanentError(
        f"none of a batch of {n_changes} got through, so the cause is not one record:"
        f" {refusal.message}",
        hint=refusal.hint or "Mend the cause and run again; nobody was booked as rejected.",
        status=refusal.status,
        request_id=refusal.request_id,
    )


def unproven(refusal: BatchRejectedError, n_changes: int) -> PermanentError:
    """The error for the only changes of their kind, when all of them are refused."""
    who = (
        "the only change of its kind was"
        if n_changes == 1
        else f"all {n_changes} changes of one kind were"
    )
    return PermanentError(
        f"{who} refused, so it may be the data or the set-up: {refusal.message}",
        hint="See `liftline issues`; the next run sends them again.",
        status=refusal.status,
        request_id=refusal.request_id,
    )


class _Attempt:
    """Counts the calls that one refused batch costs."""

    def __init__(self, send: Send, n_changes: int) -> None:
        self.got_through = False
        self.refusal: BatchRejectedError | None = None
        self._send = send
        self._n_changes = n_changes
        self._calls = 0
        self._limit = 2 * math.ceil(math.log2(max(n_changes, 2))) + 8

    def halve(self, changes: Sequence[Change]) -> list[RecordResult]:
        self._calls += 1
        try:
            results = list(self._send(changes))
        except BatchRejectedError as error:
            self.refusal = error
            if len(changes) == 1:
                return [
                    RecordResult(
                        changes[0].change_id,
                        Outcome.REJECTED,
                        code=_code(error),
                        message=error.message,
                    )
                ]
            if not self.got_through and self._calls > self._limit:
                raise systemic(error, self._n_changes) from error
            middle = len(changes) // 2
            return [*self.halve(changes[:middle]), *self.halve(changes[middle:])]
        if any(result.outcome is Outcome.DELIVERED for result in results):
            self.got_through = True
        return results


def _code(error: DestinationError) -> str:
    code = getattr(error, "code", "")
    return str(code) or (f"HTTP_{error.status}" if error.status else "REJECTED")
