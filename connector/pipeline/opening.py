"""Sources of the file, as the step that attaches them wants them."""

from __future__ import annotations

from connector.config import Config
from connector.config.data import PostgresSource
from connector.sources import spec
from connector.sources.attach import attach
from connector.warehouse.duckdb import DuckDBWarehouse


def attach_source(config: Config, workspace: DuckDBWarehouse, name: str) -> None:
    """Make one source of the file readable in a workspace that is not sealed yet.

    Raises:
        SourceError: It cannot be read; the message names it.
    """
    source = config.sources[name]
    if isinstance(source, PostgresSource):
        read = [text.partition(".") for text in config.relations]
        attach(
            workspace,
            name,
            spec.PostgresSource(source.dsn.get_secret_value(), source.schema_),
            [table for of, _, table in read if of == name],
        )
    else:
        files = spec.FileSource(spec.FileKind(source.type), config.resolve(source.path))
        attach(workspace, name, files)
