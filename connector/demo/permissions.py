"""Consents as a consent tool exports them: one row for each time somebody said yes or no.

About seven in ten addresses allow marketing by e-mail, some of them said yes and later no, and many
never said anything, which is a no. Rows are keyed by e-mail address, so the members of a household
share one consent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from connector.demo.season import DAY_S, Seconds

_GRANTED = 0.70
_WITHDREW = 0.07
_DECLINED = 0.05
"""The rest never said anything."""
_RETURNED_SHARE = 0.15
"""Share of those who withdrew and later said yes again."""
_PROFILING = 0.55
_SMS = 0.12
_MESSY_SHARE = 0.01
_UNKNOWN_WORDS = ("maybe", "pending", "")
_N_UNKNOWN_WORDS = 15
_N_STRANGERS = 100

SCHEMA = pa.schema(
    {
        "email": pa.string(),
        "purpose": pa.string(),
        "channel": pa.string(),
        "status": pa.string(),
        "changed_s": pa.int64(),
        "source": pa.string(),
    }
)


@dataclass(frozen=True, slots=True)
class Consents:
    """Consent rows and what is true about them.

    Attributes:
        rows: Rows of :data:`SCHEMA`.
        granted: Addresses of customers whose last word on marketing by e-mail is yes, in order of
            first account.
        silent: Addresses of customers who never said anything about marketing by e-mail.
        withdrawn: Addresses of customers whose last word is no.
    """

    rows: pa.Table
    granted: list[str]
    silent: list[str]
    withdrawn: list[str]


@dataclass(frozen=True, slots=True)
class ConsentDirt:
    """Consent rows that the engine must not act upon, and how many there are of each kind.

    Attributes:
        rows: The rows to append.
        n_unknown_words: Rows with a status that means neither yes nor no, of people who never said
            anything else.
        n_strangers: Rows of addresses that belong to no customer.
    """

    rows: pa.Table
    n_unknown_words: int
    n_strangers: int


def draw_consents(
    rng: np.random.Generator, addresses: list[str | None], born_s: Seconds, until_s: int
) -> Consents:
    """Consents of the people behind ``addresses`` (None: nobody), given with their accounts."""
    first: dict[str, int] = {}
    for address, born in zip(addresses, born_s.tolist(), strict=True):
        if address is not None:
            first.setdefault(address, born)
    emails = list(first)
    born_at = np.fromiter(first.values(), dtype=np.int64, count=len(first))
    n = len(emails)
    u = rng.random(n)
    said_at = np.minimum(born_at + rng.integers(60, 3600, n), until_s - 1)
    # A change of mind comes at least a second later and always before `until`.
    changed_at = said_at + 1 + np.floor(rng.random(n) * (until_s - said_at - 1)).astype(np.int64)
    again_at = changed_at + DAY_S
    returned = (rng.random(n) < _RETURNED_SHARE) & (again_at < until_s)
    granted = u < _GRANTED
    withdrew = (u >= _GRANTED) & (u < _GRANTED + _WITHDREW) & (changed_at < until_s)
    declined = (u >= _GRANTED + _WITHDREW) & (u < _GRANTED + _WITHDREW + _DECLINED)
    profiling, sms = rng.random(n), rng.random(n)
    messy = rng.random(n) < _MESSY_SHARE

    table = _Rows()
    for i, email in enumerate(emails):
        typed = f"  {email.upper()}" if messy[i] else email
        said, changed = int(said_at[i]), int(changed_at[i])
        if granted[i] or withdrew[i]:
            table.add(typed, "marketing", "email", "granted", said, "checkout")
        elif declined[i]:
            table.add(typed, "marketing", "email", "withdrawn", said, "checkout")
        if withdrew[i]:
            table.add(email, "marketing", "email", "withdrawn", changed, "unsubscribe_link")
            if returned[i]:
                table.add(
                    email, "marketing", "email", "granted", int(again_at[i]), "preference_centre"
                )
        if profiling[i] < _PROFILING:
            table.add(typed, "profiling", "web", "granted", said, "cookie_banner")
        if sms[i] < _SMS:
            table.add(typed, "marketing", "sms", "granted", said, "checkout")
    yes = granted | (withdrew & returned)
    return Consents(
        rows=table.finish(),
        granted=[emails[i] for i in np.flatnonzero(yes)],
        silent=[emails[i] for i in np.flatnonzero(~(granted | withdrew | declined))],
        withdrawn=[emails[i] for i in np.flatnonzero(declined | (withdrew & ~returned))],
    )


def soil_consents(rng: np.random.Generator, silent: list[str], until_s: int) -> ConsentDirt:
    """Words that mean nothing, of people who said nothing else, and readers who never bought."""
    table = _Rows()
    chosen = rng.permutation(len(silent))[:_N_UNKNOWN_WORDS].tolist()
    for place, i in enumerate(chosen):
        word = _UNKNOWN_WORDS[place % len(_UNKNOWN_WORDS)]
        table.add(silent[i], "marketing", "email", word, until_s - DAY_S, "import")
    for number in range(_N_STRANGERS):
        reader = f"reader{number:04d}@newsletter.example"
        said_s = until_s - (number + 1) * DAY_S
        table.add(reader, "marketing", "email", "granted", said_s, "newsletter")
    return ConsentDirt(table.finish(), len(chosen), _N_STRANGERS)


def email_marketing_rows(words: list[tuple[str, str, int, str]]) -> pa.Table:
    """Rows of :data:`SCHEMA` on marketing by e-mail, from (address, status, at, source)."""
    table = _Rows()
    for email, status, changed_s, source in words:
        table.add(email, "marketing", "email", status, changed_s, source)
    return table.finish()


class _Rows:
    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, str, int, str]] = []

    def add(
        self, email: str, purpose: str, channel: str, status: str, changed_s: int, source: str
    ) -> None:
        self._rows.append((email, purpose, channel, status, changed_s, source))

    def finish(self) -> pa.Table:
        columns = list(zip(*self._rows, strict=True)) or [()] * len(SCHEMA)
        return pa.table(
            [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)],
            schema=SCHEMA,
        )
