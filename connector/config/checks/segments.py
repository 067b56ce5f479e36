"""Checks of the grid of RFM groups, of segments and of priority lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from connector.config.activation import Segment
from connector.config.checks.draft import Draft
from connector.config.problems import KeyPath, Problem, did_you_mean, listed, shown
from connector.config.rfm import RfmModel, shadowed_groups
from connector.models.groups import unnamed_cells

RFM = "rfm."
MAX_CELLS = 6


def rfm_grid_is_covered(draft: Draft) -> Iterator[Problem]:
    """Scales are whole; each cell has a group; each group has a cell."""
    if "models" in draft.broken:
        return
    model, path = draft.config.models.rfm, ("models", "rfm")
    whole = True
    for name, scale in (
        ("recency", model.recency),
        ("frequency", model.frequency),
        ("monetary", model.monetary),
    ):
        needed, other = ("edges", "bins") if scale.method == "fixed" else ("bins", "edges")
        if scale.method == "fixed" and scale.edges is None:
            whole = False
            yield draft.problem(
                (*path, name), "fixed scores need their edges", allowed="edges: [30, 90, 180, 365]"
            )
        if getattr(scale, other) is not None:
            whole = False
            yield draft.problem(
                (*path, name, other), f"{other} does not go with {scale.method}", allowed=needed
            )
    if whole:
        yield from _grid(draft, model, (*path, "groups"))


def _grid(draft: Draft, model: RfmModel, path: KeyPath) -> Iterator[Problem]:
    groups, shape = model.boxes, model.shape
    if "groups" not in model.model_fields_set and shape != (5, 5, 5):
        found = "-".join(map(str, shape))
        message = f"the shipped groups need 5 scores in each dimension, found {found} (r-f-m)"
        yield draft.problem(
            path, message, allowed="5 bins (or 4 edges) each, or groups of your own"
        )
        return
    outside = False
    for i, group in enumerate(groups):
        for axis, box, top in zip("rfm", (group.r, group.f, group.m), shape, strict=True):
            if box.high > top:
                outside = True
                yield draft.problem(
                    (*path, i, axis),
                    f"group {group.name}: found {box}",
                    allowed=f"scores from 1 to {top}",
                )
    if outside:
        return
    for i, takers in shadowed_groups(groups, shape).items():
        names = dict.fromkeys(groups[taker].name for taker in takers)
        yield draft.problem(
            (*path, i),
            f"group {groups[i].name} is never reached: {' and '.join(names)} before it"
            f" {'takes' if len(names) == 1 else 'take'} all its cells",
            hint="The first match wins: move it up, or drop it.",
        )
    free = unnamed_cells(groups, shape)
    if free:
        some = ", ".join("-".join(map(str, cell)) for cell in free[:MAX_CELLS])
        more = f" and {len(free) - MAX_CELLS} more" if len(free) > MAX_CELLS else ""
        total = shape[0] * shape[1] * shape[2]
        yield draft.problem(
            path,
            f"{len(free)} of {total} cells (r-f-m) are in no group: {some}{more}",
            hint="Add a last group that takes the rest.",
        )


def segments_lead_somewhere(draft: Draft) -> Iterator[Problem]:
    """Each segment has one origin, made of RFM groups and other segments, without a circle."""
    segments = draft.config.segments
    for name, segment in segments.items():
        path: KeyPath = ("segments", name)
        given = [
            key
            for key, value in (
                ("from", segment.from_),
                ("any", segment.any),
                ("where", segment.where),
            )
            if value is not None
        ]
        if len(given) != 1:
            found = f"found {' and '.join(given)}" if given else "says nothing"
            hint = "A condition may name groups: rfm.group = 'champions' and orders_90d >= 2."
            yield draft.problem(path, found, allowed="exactly one of from, any, where", hint=hint)
        for key, i, reference in _references(segment):
            yield from _reference(draft, (*path, key, *i), reference)
    yield from _circles(draft, segments)


def _references(segment: Segment) -> Iterator[tuple[str, tuple[int, ...], str]]:
    if segment.from_ is not None:
        yield "from", (), segment.from_
    for i, reference in enumerate(segment.any or ()):
        yield "any", (i,), reference


def _reference(draft: Draft, path: KeyPath, reference: str) -> Iterator[Problem]:
    names = draft.names("segments")
    model, dot, _ = reference.partition(".")
    if dot and model in dict(draft.config.models.named()):
        return  # its labels are known once it is fitted
    if dot and "models" in draft.broken:
        return  # whichever model is meant, it may be the broken one
    if reference.startswith(RFM):
        groups = draft.config.models.rfm.group_names
        yield from draft.unknown(path, "RFM group", reference.removeprefix(RFM), groups)
    elif reference not in names:
        groups = tuple(f"{RFM}{group}" for group in draft.config.models.rfm.group_names)
        bare = f"{RFM}{reference}"
        hint = f"Did you mean '{bare}'?" if bare in groups else did_you_mean(reference, names)
        yield draft.problem(
            path,
            f"no segment is named {shown(reference)}",
            allowed=f"rfm.<group>, or a segment: {listed(names)}",
            hint=hint,
        )


def _circles(draft: Draft, segments: Mapping[str, Segment]) -> Iterator[Problem]:
    graph = {name: set(segment.references) & set(segments) for name, segment in segments.items()}
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = list(reversed(error.args[1][1:]))
            first = min(range(len(circle)), key=lambda i: list(segments).index(circle[i]))
            circle = [*circle[first:], *circle[:first]]
            way = " -> ".join([*circle, circle[0]])
            yield draft.problem(("segments", circle[0]), f"segments in a circle: {way}")
            del graph[circle[0]]
        else:
            return


def priority_lists_are_orders(draft: Draft) -> Iterator[Problem]:
    """Segments of a priority list exist and stand in it once; lists have names of their own."""
    seen: set[str] = set()
    for n, one in enumerate(draft.config.priority_lists):
        i = draft.place("priority_lists", n)
        yield from draft.twice(("priority_lists", i, "name"), "priority list", one.name, seen)
        places: set[str] = set()
        for k, name in enumerate(one.order):
            path: KeyPath = ("priority_lists", i, "order", k)
            yield from draft.unknown(path, "segment", name, draft.names("segments"))
            yield from draft.twice(path, "segment", name, places)
