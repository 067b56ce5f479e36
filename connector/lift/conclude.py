"""From all comparisons together to verdicts: the correction for many, then the word of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from connector.lift.multiple import benjamini_hochberg
from connector.lift.question import Draft
from connector.lift.result import CampaignLift, SegmentLift
from connector.lift.rules import MeasurementSpec
from connector.lift.verdict import Basis, Evidence, judge


def conclude(drafts: Iterable[Draft], rules: MeasurementSpec) -> list[CampaignLift]:
    """Correct for the number of comparisons, and give every verdict.

    Goals are corrected together, over the campaigns, each in its newest epoch; classes of people
    are corrected together too, for each metric over all campaigns. Other metrics are shown beside
    the goal and are not corrected. What can get no verdict whatever it shows (too few buyers are
    expected, a ratio, a look before its day) is in no family: its p-value is not yet what it
    claims, and a false small one would make it easier for the others.

    Args:
        drafts: All comparisons that were looked at, not only promising ones.
        rules: How.
    """
    made = list(drafts)
    newest: dict[str, int] = {}
    for one in made:
        newest[one.lift.campaign] = max(newest.get(one.lift.campaign, 0), one.lift.epoch)
    family = [
        i
        for i, one in enumerate(made)
        if rules.corrects
        and one.is_corrected
        and one.lift.is_goal
        and one.lift.epoch == newest[one.lift.campaign]
        and one.lift.p_value is not None
        and may_be_called(one.evidence, rules)
    ]
    adjusted = dict(
        zip(
            family,
            benjamini_hochberg([made[i].lift.p_value or 0.0 for i in family]),
            strict=True,
        )
    )
    corrected = _corrected_segments(made, rules)
    return [
        _judged(
            one,
            adjusted.get(i) if len(family) > 1 else None,
            len(family),
            corrected.get(i, ()),
            rules,
        )
        for i, one in enumerate(made)
    ]


def may_be_called(evidence: Evidence, rules: MeasurementSpec) -> bool:
    """Whether a comparison could be called a win or a loss, by what does not depend on its effect.

    Args:
        evidence: Its numbers.
        rules: Hold the thresholds.
    """
    return (
        not evidence.distrust
        and not evidence.too_early
        and evidence.basis is not Basis.RATIO
        and evidence.expected_buyers is not None
        and evidence.expected_buyers >= rules.thresholds.verdict_from
    )


def _corrected_segments(
    drafts: Sequence[Draft], rules: MeasurementSpec
) -> dict[int, tuple[tuple[SegmentLift, int], ...]]:
    """Classes with their adjusted p-values and the size of their family, by draft."""
    families: dict[str, list[tuple[int, int]]] = {}
    for i, one in enumerate(drafts):
        for j, part in enumerate(one.lift.segments):
            if part.p_value is not None and may_be_called(one.segments[j], rules):
                families.setdefault(one.lift.metric, []).append((i, j))
    found: dict[tuple[int, int], tuple[float, int]] = {}
    for places in families.values():
        p_values = [drafts[i].lift.segments[j].p_value or 0.0 for i, j in places]
        values = benjamini_hochberg(p_values) if rules.corrects else tuple(p_values)
        found |= {place: (value, len(places)) for place, value in zip(places, values, strict=True)}
    result = {}
    for i, one in enumerate(drafts):
        parts = []
        for j, part in enumerate(one.lift.segments):
            value, n = found.get((i, j), (None, 1))
            parts.append((replace(part, p_adjusted=value), n))
        result[i] = tuple(parts)
    return result


def _judged(
    draft: Draft,
    p_adjusted: float | None,
    n_family: int,
    segments: Sequence[tuple[SegmentLift, int]],
    rules: MeasurementSpec,
) -> CampaignLift:
    evidence = replace(draft.evidence, p_adjusted=p_adjusted, n_comparisons=max(n_family, 1))
    judgement = judge(
        evidence, flat_margin=rules.flat_margin, unit=draft.unit, thresholds=rules.thresholds
    )
    parts = []
    for (part, n), known in zip(segments, draft.segments, strict=True):
        word = judge(
            replace(known, p_adjusted=part.p_adjusted, n_comparisons=n),
            flat_margin=rules.flat_margin,
            unit=draft.unit,
            thresholds=rules.thresholds,
        )
        parts.append(replace(part, verdict=word.verdict, reason=word.reason))
    return replace(
        draft.lift,
        p_adjusted=p_adjusted,
        verdict=judgement.verdict,
        reason=judgement.reason,
        segments=tuple(parts),
    )
