"""What a plan says besides its changes: destinations that it cannot serve, and notes."""

from __future__ import annotations

from dataclasses import dataclass

from connector.errors import DestinationError, TransientError


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A destination that this plan leaves as it is, because its vendor could not be read.

    Explicit withdrawals go there all the same.

    Attributes:
        exit_code: Of the error; the commands end with it.
        message: What the vendor, or its adapter, said.
        hint: What to do; may be empty.
    """

    destination: str
    exit_code: int
    message: str
    hint: str = ""

    @classmethod
    def of(cls, destination: str, error: DestinationError) -> Unreadable:
        """Why ``destination`` could not be read."""
        return cls(destination, error.exit_code, error.message, error.hint)

    def as_error(self) -> DestinationError:
        """The error as the run's report tells it."""
        if self.exit_code == TransientError.exit_code:
            return TransientError(self.message, hint=self.hint)
        return DestinationError(self.message, hint=self.hint)


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a person should know, and that holds nothing.

    Attributes:
        subject: What it is about: a campaign or a destination.
    """

    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A destination that the configuration names no more, while people of ours are still there.

    Nothing is sent there: without an entry there is no adapter, and no token.

    Attributes:
        people: Those whom the ledger holds on a list or with properties there.
        lists: Names of the lists that they are on.
        message: What was found.
        hint: What to do.
    """

    destination: str
    people: int
    lists: tuple[str, ...]
    message: str
    hint: str
