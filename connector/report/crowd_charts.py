"""Drawings of crowds: the dendrogram with its cut, and the lift of a pair with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from connector.report.format import percent
from connector.report.models import PairRow, TreeSummary

_WIDE, _HIGH, _FOOT, _SIDE = 640.0, 250.0, 22.0, 8.0
_LEAST_LABEL = 0.03
"""Branches of a smaller share of people have no number at their foot."""


def dendrogram(tree: TreeSummary, *, uid: str) -> Markup:
    """How crowds join, from many to one; the line cuts as many branches as there are personas."""

    def x(across: float) -> float:
        return _SIDE + (_WIDE - 2 * _SIDE) * across

    def y(height: float) -> float:
        return 8 + (_HIGH - 8) * (1 - height)

    branches = Markup().join(
        Markup(
            '<path class="branch" d="M{a:.1f} {low:.1f}V{top:.1f}H{b:.1f}V{other:.1f}"/>'
        ).format(
            a=x(one.left), b=x(one.right), low=y(one.left_from), other=y(one.right_from),
            top=y(one.height),
        )
        for one in tree.branches
    )  # fmt: skip
    feet = Markup().join(
        Markup('<text class="label" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
            x(across), _HIGH + 15, percent(share, digits=0)
        )
        for across, share in tree.feet
        if share >= _LEAST_LABEL
    )
    line, said = Markup(), "No cut is drawn."
    for one in tree.cuts:
        if one.k == tree.k:
            line = Markup(
                '<line class="best" x1="0" x2="{w:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            ).format(w=_WIDE, y=y(one.height))
            shares = ", ".join(percent(share) for share in one.shares)
            said = f"Cut into {one.k}, the parts hold {shares} of the people."
    return Markup(
        '<svg class="chart tree" role="img" aria-labelledby="{uid}-t {uid}-d"'
        ' viewBox="0 0 {w:.0f} {h:.0f}"><title id="{uid}-t">Dendrogram</title>'
        '<desc id="{uid}-d">{said}</desc>{branches}{line}{feet}</svg>'
    ).format(uid=uid, w=_WIDE, h=_HIGH + _FOOT, said=said, branches=branches, line=line, feet=feet)


def lift_range(pair: PairRow, pairs: Sequence[PairRow]) -> Markup:
    """The interval of a pair's lift beside those of the others, on one logarithmic scale from 1.

    It repeats the numbers beside it.
    """
    top = math.log(max([*(one.high for one in pairs), 1.001]))

    def x(lift: float) -> float:
        return 2 + 96 * min(max(math.log(max(lift, 1e-9)) / top, 0.0), 1.0)

    return Markup(
        '<svg class="bar lift" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"'
        ' focusable="false"><rect class="track" width="100" height="10"/>'
        '<rect class="fill" x="{a:.2f}" y="3" width="{w:.2f}" height="4"/>'
        '<rect class="point" x="{p:.2f}" width="1.6" height="10"/></svg>'
    ).format(a=x(pair.low), w=max(x(pair.high) - x(pair.low), 0.8), p=x(pair.lift) - 0.8)
