"""Machine words in plain English, in one place. A word that is not listed is shown as it is.

The report is read by people who never saw the configuration; every code that the engine, an adapter
or a vendor uses has its sentence here and nowhere else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from connector.report.data import UNREADABLE
from connector.report.format import NBSP, count, money, several
from connector.report.lift import LiftRow
from connector.report.people import RfmAxis


@dataclass(frozen=True, slots=True)
class Phrase:
    """A code in words.

    Attributes:
        title: A few words, for a table or a chart.
        sentence: What it means and, where there is something to do, what.
    """

    title: str
    sentence: str = ""


def _table(**phrases: tuple[str, str]) -> Mapping[str, Phrase]:
    return MappingProxyType({code: Phrase(*words) for code, words in phrases.items()})


def phrase(table: Mapping[str, Phrase], code: str) -> Phrase:
    """The words for a code; an unknown code stands for itself."""
    return table.get(code) or Phrase(code)


VERDICTS = _table(
    win=("Win", "The whole interval lies above zero: treated people brought more."),
    loss=("Loss", "The whole interval lies below zero: treated people brought less."),
    flat=("Flat", "The whole interval lies within the margin that counts as no difference."),
    directional_only=(
        "Directional only",
        "Too few buyers for a verdict; the direction is a hint and no more.",
    ),
    not_enough_data=(
        "Not enough data",
        "Too few buyers to say anything, or an interval too wide to tell more from less.",
    ),
    do_not_trust=(
        "Do not trust",
        "The groups are not what the draw must have made, or outcomes are missing: no figure is"
        " shown.",
    ),
)
"""The closed list of verdicts, in the order in which they are explained."""

ARMS = _table(
    treatment=("Treated", "People who get the campaign."),
    business_as_usual=("Usual programme", "People who get what they got before the campaign."),
    no_contact=("Held out", "People who are sent nothing, to see what they do by themselves."),
)

AGAINST: Mapping[str, str] = MappingProxyType(
    {"no_contact": "sending nothing", "business_as_usual": "the usual programme"}
)
"""What a treatment is compared with, after "more than"."""

GUARDED = _table(
    kept=("Kept", "Within its limit."),
    broken=("Broken", "Above its limit."),
    unclear=("Unclear", "It may have passed its limit or not."),
)
"""What became of a metric that must not rise."""

GATES = _table(
    assigned=("Group sizes when drawn", ""),
    eligible=("Group sizes of the eligible", ""),
    would_send=("Group sizes when it would have been sent", ""),
    joined=("Group sizes with outcomes", ""),
    empty_arm=("Empty group", ""),
    pre_period=("Alike before the start", ""),
    contamination=("Groups kept apart", ""),
    files=("The files", ""),
)
"""What a check of an experiment looks at."""

BLOCKED = _table(
    consent_withdrawn=("Withdrew consent", "They said no; they were taken off every list at once."),
    excluded=("On an exclusion list", "A list of the shop says that nobody may write to them."),
    withdrawal_in_doubt=(
        "Withdrawal in doubt",
        "The consent source is broken and shows an old no; nothing is sent, nothing taken away.",
    ),
    no_address=("No usable address", "There is no valid address to write to."),
    no_consent=("Never gave consent", "No record of consent for this purpose; silence means no."),
    same_vendor_record=(
        "Same record as somebody else",
        "At the destination they share one record with another person, who stands for both.",
    ),
    not_at_destination=(
        "Unknown at the destination",
        "The destination has no record of them and the configuration does not create one.",
    ),
    excluded_from_campaign=(
        "Excluded from this campaign",
        "An exclusion list keeps them out of this campaign only.",
    ),
    outranked=(
        "In a campaign that goes first",
        "A campaign higher on the priority list addresses them.",
    ),
    global_holdout=(
        "In the global holdout",
        "No campaign addresses them, so that all campaigns together can be measured.",
    ),
    over_budget=(
        "Waiting for the budget",
        "Others rank higher and the budget of this run is spent; a later run continues with them.",
    ),
)
"""Why a member of a segment is not addressed; only those who wait have an arm."""

NOT_SENT = MappingProxyType(
    {
        **BLOCKED,
        **_table(
            left_segment=("Left the segment", "They are no longer whom the campaign is for."),
            profile_gone=(
                "No longer in the data",
                "The shop's customers do not hold them any more.",
            ),
        ),
    }
)
"""Why somebody who has an arm would not be sent the campaign."""

OUTCOMES = _table(
    delivered=("Delivered", "Confirmed by the destination."),
    deferred=("Not confirmed", "The next run sends it again."),
    rejected=("Refused", "It waits until the person's data changes; removals are sent again."),
    suppressed=("Person refused", "Not sent to this person any more."),
    missing=("Not found", "Looked up again later; no record is made there."),
    skipped=("Held back", "The next plan decides anew."),
    unsent=("Never tried", "The next run sends it."),
)

ISSUES = _table(
    OBJECT_NOT_FOUND=("Record not found", "The record was deleted or merged at the destination."),
    NOT_FOUND=("Record not found", "The record was deleted or merged at the destination."),
    NO_RECORD=("No record to add", "The person's record could not be written first."),
    INVALID_EMAIL=("Address refused", "The destination does not accept the address."),
    INVALID_DATE=("Date refused", "The destination does not accept a date that was sent."),
    INVALID_INTEGER=("Number refused", "The destination expects a whole number."),
    INVALID_OPTION=(
        "Option unknown",
        "The property at the destination has no such option; add it there.",
    ),
    VALIDATION_ERROR=("Value refused", "The destination does not accept a value that was sent."),
    BLOCKLISTED=("Erased there", "The person was erased at the destination and is locked out."),
    GDPR_BLOCKLISTED=("Erased there", "The person was erased there and is locked out."),
    CONFLICT=("Two records claim it", "Another record at the destination holds the address."),
    DUPLICATE_RECORD=("Sent twice", "The destination sees the same record twice."),
    TOO_LONG=("Value too long", "The destination allows fewer characters."),
    RATE_LIMITS=("Limit reached", "The destination's request limit was reached."),
    RATE_LIMIT=("Limit reached", "The destination's request limit was reached."),
    LOCKED=("Locked just now", "The destination was changing the record itself."),
    INTERNAL_ERROR=("Fault at the destination", "The destination had a fault of its own."),
    MIGRATION_IN_PROGRESS=("Moving house", "The destination is moving its data."),
    NO_ANSWER=("No answer for it", "The answer did not mention this record."),
    REFUSED=("Refused", "The destination gave no reason."),
    REJECTED=("Refused", "The destination gave no reason."),
    permission=("Consent ended", "They withdrew or were excluded after the plan was made."),
    moved=("Changed meanwhile", "Another run changed the record after the plan was made."),
)
"""Why a change did not get through."""

GUARDS = _table(
    removals_above=("Many would leave", ""),
    additions_above=("Many would join", ""),
    empty_segment=("A segment is empty", ""),
    new_billable_profiles_above=("New billable people", ""),
    budget=("Over budget", ""),
    first_sync=("First sync", ""),
    over_people=("Many people at once", ""),
    deleted_list=("A list was deleted", ""),
    source=("Source data", ""),
    underpowered=("Too small to prove anything", ""),
)

RUN_STATUS = _table(
    succeeded=("Succeeded", "Everything that was planned got through."),
    partial=(
        "Partly delivered",
        "Not everything got through: it was refused, or the next run sends it again.",
    ),
    held=("Held", "A guard stopped the run; only withdrawals were carried out."),
    interrupted=("Interrupted", "The run was cut off; the next one takes up where it stopped."),
    failed=("Failed", "The run stopped with an error."),
    running=("Running", "The run has not finished."),
)

LISTS = _table(
    new=("new", "made by this run"),
    adopted=("adopted", "found at the destination; its own members are left alone"),
    kept=("kept", ""),
    deleted=("deleted there", "somebody deleted it at the destination"),
    unreadable=("not read", "the destination could not be read; nothing was changed"),
)

LEVELS = _table(
    ok=("All well", ""), note=("Note", ""), warning=("Warning", ""), error=("Error", "")
)

LEFT_OUT = _table(
    exact_duplicates=("exactly like another", ""),
    exact_duplicate=("exactly like another", ""),
    key_duplicate=("older than another of the same key", ""),
    filtered=("not part of the table", ""),
    folded_into_groups=("joined with others to one order", ""),
    cancelled=("cancelled", ""),
    after_as_of=("dated after the instant looked at", ""),
    customer_after_as_of=("of a customer who joined later", ""),
    test_account=("of a test account", ""),
    missing_customer=("without a customer", ""),
    unknown_customer=("of a customer who is not known", ""),
    missing_customer_id=("without a customer number", ""),
    missing_order_id=("without an order number", ""),
    missing_ordered_at=("without a time", ""),
    missing_at=("without a time", ""),
    missing_gross=("without an amount", ""),
    missing_net_revenue=("without an amount", ""),
    missing_price=("without a price", ""),
    missing_quantity=("without a quantity", ""),
    missing_product_id=("without a product", ""),
    missing_purpose=("without a purpose", ""),
    missing_channel=("without a channel", ""),
    negative_gross=("with a negative amount", ""),
    negative_price=("with a negative price", ""),
    negative_discount=("with a negative discount", ""),
    negative_refund=("with a negative refund", ""),
    discount_above_gross=("with a discount above the amount", ""),
    refund_above_paid=("refunded more than was paid", ""),
    above_max_order_value=("impossibly large", ""),
    order_not_kept=("of an order that was left out", ""),
    other_purpose=("for another purpose", ""),
    unreadable_person=("without a readable person", ""),
    unknown_status=("with a status not understood", ""),
    invalid_email=("without a valid address", ""),
    email_shared=("sharing an address", ""),
    email_never_merged=("with a shared office address", ""),
    email_of_too_many_customers=("with an address of too many people", ""),
    email_over_limit=("whose address would join too much", ""),
    invalid_phone=("without a readable telephone number", ""),
    phone_shared=("sharing a telephone number", ""),
    phone_never_merged=("with a shared office number", ""),
    phone_of_too_many_customers=("with a number of too many people", ""),
    phone_over_limit=("whose number would join too much", ""),
    anonymous_id_shared=("on a device of several people", ""),
    anonymous_id_never_merged=("on a public device", ""),
    anonymous_id_of_too_many_customers=("on a device of too many people", ""),
    anonymous_id_over_limit=("with too many devices", ""),
)
"""Why rows did not come out of a step, or came out without a value; read after their number."""


WRITTEN: Mapping[str, str] = MappingProxyType(
    {
        **{word: word.upper() for word in ("vip", "clv", "ltv", "rfm", "aov", "crm", "sms", "ltd")},
        "b2b": "B2B",
        "b2c": "B2C",
        "cant": "can't",
        "dont": "don't",
        "wont": "won't",
        "hubspot": "HubSpot",
    }
)
"""Words of names whose spelling a name of the configuration cannot hold."""

_SPANS = {"d": "day", "w": "week", "h": "hour"}


def label(name: str) -> str:
    """A name of the configuration for people: ``win_back`` reads "win back".

    ``cant_lose`` reads "can't lose", ``vip_early`` "VIP early", ``clv_90d`` "CLV, 90 days".
    """
    words = name.split("_")
    span = re.fullmatch(r"(\d+)([dwh])", words[-1]) if len(words) > 1 else None
    text = " ".join(WRITTEN.get(word, word) for word in (words[:-1] if span else words))
    if span:
        text += f", {several(int(span[1]), _SPANS[span[2]])}"
    return text.strip() or name


def title(name: str) -> str:
    """A name at the beginning of a line."""
    text = label(name)
    return text[:1].upper() + text[1:]


def arm_name(name: str) -> str:
    """An arm or an offer as a heading."""
    return ARMS[name].title if name in ARMS else title(name)


def lower_first(text: str) -> str:
    """A heading within a sentence: ``Group sizes`` reads "group sizes", ``RFM group`` stays."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def left_out(code: str) -> str:
    """Why a row was left out; the user's own rules are named as they are."""
    if code in LEFT_OUT:
        return LEFT_OUT[code].title
    column = code.removeprefix(UNREADABLE)
    return f"with an unreadable {label(column)}" if column != code else label(code)


def table_label(name: str) -> str:
    """A table of the quality summary: ``in_orders`` came from the source, ``orders`` is clean."""
    return f"{title(name[3:])}, as read" if name.startswith("in_") else title(name)


def metric_label(lift: LiftRow) -> str:
    """A metric for people: ``revenue_per_person_30d`` reads "revenue per person"."""
    return label(re.sub(rf"_{lift.window_days}d$", "", lift.metric))


def metric_title(lift: LiftRow) -> str:
    """A metric as a heading; ``revenue/orders`` reads "Revenue per order"."""
    top, _, bottom = metric_label(lift).partition("/")
    return title(f"{top} per {bottom.removesuffix('s')}" if bottom else top)


@dataclass(frozen=True, slots=True)
class Unit:
    """How a metric's differences are spoken of.

    Attributes:
        per_person: Unit of the difference.
        total: Unit of the difference times the people.
        scale: The difference times this, before it is spoken.
        digits: Usual decimals of a difference.
    """

    per_person: str
    total: str
    scale: float = 1.0
    digits: int = 2


def unit_of(kind: str, currency: str) -> Unit:
    """The units of a sum, a count or a share."""
    if kind == "sum":
        return Unit(currency, currency)
    if kind == "share":
        return Unit("percentage points", "people", 100.0)
    return Unit("orders", "orders", digits=3)


def mean_text(value: float | None, kind: str, currency: str) -> str:
    """One arm's outcome per person, in the metric's unit."""
    if value is None:
        return "–"
    if kind == "share":
        return f"{100 * value:.2f}{NBSP}%"
    return f"{value:,.2f}{NBSP}{currency}" if kind == "sum" else f"{value:,.3f}"


def axis_labels(axis: RfmAxis, currency: str) -> tuple[str, ...]:
    """What each score of an RFM dimension means, from score 1 upwards.

    Returns:
        Such as ``403 or more days``, ``2 orders`` or ``48.90 to 96.40 EUR``; ``nobody`` for a score
        that the cut points leave without values.
    """
    closed_above = axis.method == "quantile"
    bounds = list(pairwise([-math.inf, *axis.edges, math.inf]))
    if axis.dimension == "monetary":
        digits = 2 if any(edge % 1 for edge in axis.edges) else 0
        pieces = [_amounts(low, high, currency, digits) for low, high in bounds]
    else:
        unit, least = ("days", 0) if axis.dimension == "recency" else ("orders", 1)
        pieces = [_whole(low, high, unit, least, closed_above=closed_above) for low, high in bounds]
    if axis.reverse:
        pieces.reverse()
    empty = set(axis.empty_bins)
    return tuple("nobody" if i in empty else text for i, text in enumerate(pieces, start=1))


def _amounts(low: float, high: float, currency: str, digits: int) -> str:
    """Amounts between two edges; a cent more or less at an edge is not worth a word."""
    if low == high:
        return "nobody"
    first, last = (money(edge, currency, digits=digits) for edge in (low, high))
    if math.isinf(low):
        return f"up to {last}"
    return f"above {first}" if math.isinf(high) else f"{first.partition(NBSP)[0]} to {last}"


def _whole(low: float, high: float, unit: str, least: int, *, closed_above: bool) -> str:
    """Whole numbers in ``(low, high]`` when closed above, else in ``[low, high)``."""
    if not math.isinf(low):
        least = math.floor(low) + 1 if closed_above else math.ceil(low)
    if math.isinf(high):
        return f"{count(least)} or more {unit}"
    most = math.floor(high) if closed_above else math.ceil(high) - 1
    if most < least:
        return "nobody"
    numbers = count(most) if least == most else f"{count(least)} to {count(most)}"
    return f"{numbers} {unit if most != 1 else unit[:-1]}"
