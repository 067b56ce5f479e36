"""Where SQL is written once and run anywhere: the house dialect, its renderings, and the engines.

* :mod:`connector.warehouse.macros` - our functions, and what each becomes on every engine.
* :mod:`connector.warehouse.dialect` - expressions that a user writes in the configuration, parsed
  and checked.
* :mod:`connector.warehouse.render` - whole statements that the engine writes, made into one
  engine's SQL.
* :mod:`connector.warehouse.duckdb` - the embedded engine.
* :mod:`connector.warehouse.postgres` - a session of a PostgreSQL database.

This package imports nothing by itself, so that the command line starts quickly.
"""
