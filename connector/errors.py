"""Every error Liftline raises, named by its consequence: what the reader must do next.

::

    LiftlineError                      1
      ConfigError                      3   edit the file
      SourceError                      4   repair or refresh the source data
        SchemaError                    4   the table's shape is not what the contract asks
      ModelError                       5   a model cannot be fitted or used
        InsufficientDataError          5   there is too little data for an answer
      PlanError                        6   the plan cannot be made or carried out
        StalePlanError                 6   make the plan again
        GuardError                     7   a person must look before anything is sent
      LedgerError                      8   the state database is busy or damaged
      DestinationError                 9   a vendor did not do what was asked
        AuthenticationError            9   mend the credentials or the scopes
        TransientError                10   wait, and run again
        PermanentError                 9   the same request will fail again
          BatchRejectedError           9   one record spoils the batch: the engine halves it
        AdapterError                   9   the adapter broke its contract: report a bug

The numbers are the process' exit codes (0 is success, 2 a wrong command line, 11 a run that
finished with rejected records). A failure of one *record* is a result
(:class:`connector.domain.RecordResult`), never an exception.

A message says what happened, to what, and (in ``hint``) what to do. Messages never hold an e-mail
address, a property value or a token.
"""

from __future__ import annotations

EXIT_WITH_REJECTIONS = 11
"""Exit code of a run that finished while the vendor rejected some records."""


class LiftlineError(Exception):
    """Root of all errors that Liftline raises on purpose.

    Attributes:
        message: What happened, and to what.
        hint: What to do about it; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class ConfigError(LiftlineError):
    """The configuration is wrong; the message names file, line, key and what is allowed."""

    exit_code = 3


class SourceError(LiftlineError):
    """A source cannot be read, is stale, or lost rows."""

    exit_code = 4


class SchemaError(SourceError):
    """A table lacks a column, or a column has a type that the contract does not allow."""


class ModelError(LiftlineError):
    """A model cannot be fitted, stored or used."""

    exit_code = 5


class InsufficientDataError(ModelError):
    """There is too little data for an honest answer."""


class PlanError(LiftlineError):
    """A plan cannot be made, read or carried out."""

    exit_code = 6


class StalePlanError(PlanError):
    """The plan is older than allowed, or the ledger has moved under it."""


class GuardError(PlanError):
    """A guard holds the run back until a person has looked."""

    exit_code = 7


class LedgerError(LiftlineError):
    """The state database is busy, damaged or of another project."""

    exit_code = 8


class DestinationError(LiftlineError):
    """A vendor did not do what was asked.

    Attributes:
        status: HTTP status, where there was one.
        request_id: The vendor's correlation id, for its support desk; may be empty.
    """

    exit_code = 9

    def __init__(
        self, message: str, *, hint: str = "", status: int | None = None, request_id: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.request_id = request_id


class AuthenticationError(DestinationError):
    """The credentials are wrong, revoked, or lack a scope."""


class TransientError(DestinationError):
    """Busy, locked, rate limited or out of reach: the same request may succeed later.

    Attributes:
        retry_after_s: Seconds to wait, where the vendor said so.
        applied: Whether the request may have been carried out all the same (a time-out after
            sending).
    """

    exit_code = 10

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
        applied: bool = True,
    ) -> None:
        super().__init__(message, hint=hint, status=status, request_id=request_id)
        self.retry_after_s = retry_after_s
        self.applied = applied


class PermanentError(DestinationError):
    """The vendor refuses the request as it stands."""


class BatchRejectedError(PermanentError):
    """The vendor refuses a whole batch, perhaps for one record; nothing of it was applied."""


class AdapterError(DestinationError):
    """The adapter broke its contract, such as not answering for every change."""
