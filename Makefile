# Tasks. Each sets up what it needs in .venv; the tools' own settings are in pyproject.toml.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check bench spark clean

demo: .venv/runtime   ## the main job end to end: a shop, a sandbox HubSpot, five weeks, a report
	$(BIN)/liftline demo

test: .venv/dev       ## every test
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: .venv/dev      ## style, types, layers, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 --dist worksteal

bench: .venv/dev      ## timings as ratios against a floor in the same run
	$(BIN)/python -m bench

spark: .venv/dev .venv/spark-env/done   ## features on Spark, row by row as on DuckDB; needs Java 17
	LIFTLINE_SPARK_PYTHON=.venv/spark-env/bin/python $(BIN)/python -m pytest tests/warehouse/test_spark.py

clean:                ## remove the environment and what the demo made
	rm -rf .venv demo

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Liftline needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

.venv/runtime: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[sandbox]'
	touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	touch $@ .venv/runtime

.venv/spark-env/done: .venv/bin/python Makefile
	$(PYTHON) -m venv .venv/spark-env
	.venv/spark-env/bin/python -m pip install --quiet --disable-pip-version-check pyspark==4.3.0 py4j==0.10.9.9
	touch $@
