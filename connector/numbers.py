"""Numbers, shares and amounts as text, in one place: a terminal, a page and a sentence read alike.

Below everything else, because sentences with numbers in them are written at every height: by a
table's test, by a guard, by a verdict. Thousands have separators, a minus is a true one, a number
and its unit are never parted at the end of a line.
"""

from __future__ import annotations

import math

NBSP = "\u00a0"
MINUS = "\u2212"
NONE = "\u2013"
"""What stands where there is no number."""

FINEST_DIGITS = 6
"""No number is shown with more decimals."""


def count(n: float) -> str:
    """A whole number, such as ``12,345``."""
    return minus(f"{n:,.0f}")


def short_of(n: float) -> str:
    """A number that is held against a threshold, rounded down: 19.6 must not read as the 20."""
    return count(math.floor(n))


def signed(n: float) -> str:
    """A whole number with its sign, such as ``+12``; nothing changed is ``0``."""
    return minus(f"{n:+,.0f}") if round(n) else "0"


def several(n: int, one: str, many: str = "") -> str:
    """A number of things, such as ``1 property`` or ``2,000 properties``.

    Args:
        n: How many.
        one: What one of them is called.
        many: What several are called; by default with an ``s``.
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def percent(share: float, *, digits: int | None = None) -> str:
    """A share as a percentage; what is not nothing never reads as 0 %, nor less than all as 100 %.

    Args:
        share: 0 to 1; may be negative or above 1.
        digits: Decimals; by default one near 0 and near 100 %, else none.
    """
    if digits is None:
        is_whole = abs(100 * share - round(100 * share)) < 1e-9
        is_near_an_end = 0 < abs(share) < 0.0995 or 0.995 <= abs(share) < 1
        digits = 1 if is_near_an_end and not is_whole else 0
    if 0 < abs(share) < 0.5 * 10 ** -(digits + 2):
        return f"<{NBSP}{10**-digits:.{digits}f}{NBSP}%"
    if 0 < 1 - share <= 0.5 * 10 ** -(digits + 2):
        return f">{NBSP}{100 - 10**-digits:.{digits}f}{NBSP}%"
    return minus(f"{100 * share:,.{digits}f}") + f"{NBSP}%"


def gain(share: float) -> str:
    """A relative effect, such as ``+8.5 %`` or ``+103 %``; unlike a share it has no upper end."""
    digits = 1 if 0 < abs(share) < 0.0995 else 0
    return minus(f"{100 * share:+,.{digits}f}") + f"{NBSP}%"


def short(n: float) -> str:
    """A number in few letters, such as ``1.4m``, ``56k``, ``7.2k`` or ``480``."""
    for power, letter in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        # What would round to a whole thousand of the smaller unit is told in the larger.
        if abs(n) >= 0.9995 * power:
            scaled = n / power
            return minus(f"{scaled:,.{1 if abs(scaled) < 9.95 else 0}f}") + letter
    return minus(f"{n:,.0f}")


def level(confidence: float) -> str:
    """A confidence level, such as ``95 %``."""
    return f"{100 * confidence:.4g}{NBSP}%"


def money(amount: float | None, currency: str, *, digits: int | None = None) -> str:
    """An amount, such as ``0.05 EUR``; a dash where there is none to show.

    Args:
        amount: In the currency; what is not nothing never reads as 0.00.
        currency: ISO code.
        digits: Decimals; by default two below 100 and none above.
    """
    if amount is None:
        return NONE
    if digits is None:
        digits = 2 if 0 < abs(amount) < 99.995 else 0
    if digits == 2 and 0 < abs(amount) < 0.005:
        return f"<{NBSP}0.01{NBSP}{currency}"
    return minus(f"{amount:,.{digits}f}") + f"{NBSP}{currency}"


def money_range(low: float, high: float, currency: str) -> str:
    """Two amounts with the same digits, such as ``19 to 196 EUR`` or ``1.20 to 7.95 EUR``."""
    digits = 2 if max(abs(low), abs(high)) < 99.995 else 0
    first, last = (minus(f"{one:,.{digits}f}") for one in (low, high))
    return f"{first} to {last}{NBSP}{currency}"


def difference_digits(low: float, high: float, *, usual: int = 2) -> int:
    """Decimals of a difference and its interval.

    The usual ones, and more only where a bound that is not zero would read as zero: on which side
    of zero it lies is what the verdict is about.

    Args:
        low: The lower bound.
        high: The upper bound.
        usual: Two suit money and percentage points.
    """
    digits = usual
    while digits < FINEST_DIGITS and any(x and not round(x, digits) for x in (low, high)):
        digits += 1
    return digits


def minus(text: str) -> str:
    """A text with true minus signs."""
    return text.replace("-", MINUS)
