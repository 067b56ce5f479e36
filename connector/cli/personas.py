"""``liftline personas``: a cluster model, what it was chosen from, and any cut of its tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli.context import ConfigOption, Output, OutputOption, emit, open_project

if TYPE_CHECKING:
    from connector.pipeline.show.crowds import Personas

_MOST_WORDS = 3


def personas(
    model: Annotated[
        str | None,
        typer.Argument(
            help="Name of a cluster model; needless where there is one.", show_default=False
        ),
    ] = None,
    cut: Annotated[
        int | None,
        typer.Option(
            "--cut", min=1, help="Cut the dendrogram into so many parts.", show_default=False
        ),
    ] = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """The personas in use, what they were chosen from, and any cut of the dendrogram.

    Reads the stored model; nothing is computed anew.
    """
    from connector.pipeline.show.crowds import look_at_personas

    with open_project(config) as project:
        found = look_at_personas(project, model, k=cut)
    if output is Output.JSON:
        emit(found.to_json())
    else:
        _show(found)


def _show(found: Personas) -> None:
    from rich.text import Text

    from connector.cli.screen import console, table
    from connector.numbers import NONE, percent
    from connector.report import model_words as words

    out, model = console(), found.model
    heads = ("id", "name", "people", "apart by")
    made = table(f"Personas of {model.name}", *heads, numbers=("people",))
    for key, name, share, said in zip(
        model.ids, model.names, model.shares, model.contrasts, strict=True
    ):
        made.add_row(key, name, percent(share), ", ".join(said[:_MOST_WORDS]) or NONE)
    out.print(made)
    numbers = ("groups", "silhouette", "ARI", "Jaccard", "smallest", "score")
    tried = table(f"Chosen on {model.search.day} from", "method", *numbers, numbers=numbers)
    for algorithm, k, measured in model.search.ranked:
        row = (
            words.algorithm(algorithm),
            str(k),
            words.hundredths(measured["silhouette"]),
            words.hundredths(measured["bootstrap_ari"]),
            words.hundredths(measured["bootstrap_jaccard"]),
            percent(measured["min_segment_share"]),
            words.hundredths(measured["score"]),
        )
        style = "bold" if (algorithm, k) == model.search.chosen else ""
        tried.add_row(*(Text(cell, style=style) for cell in row))
    out.print(tried)
    if not found.parts:
        return
    names = dict(zip(model.ids, model.names, strict=True))
    title = f"The dendrogram cut into {len(found.parts)}"
    parts = table(title, "people", "apart by", "made of", numbers=("people",))
    for part in found.parts:
        of = ", ".join(f"{percent(share)} {names[key]}" for key, share in part.of.items())
        parts.add_row(percent(part.share), ", ".join(part.words[:_MOST_WORDS]) or NONE, of)
    out.print(parts)
