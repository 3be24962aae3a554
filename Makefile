# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo demo-quick test lint types contracts crash services bench clean

demo: $(STAMP)
	$(BIN)/toolkit demo

# The same without students.
demo-quick: $(STAMP)
	$(BIN)/toolkit demo --quick

test: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto --maxprocesses 8 --dist worksteal --ignore tests/toolkit/sandbox
	$(BIN)/pytest tests/toolkit/sandbox # attacks, each against a clock: one at a time

# Fifty rounds of kill -9 against import, filter and compact; twenty against generate, and its other faults.
crash: $(STAMP)
	$(BIN)/pytest -m slow tests

# Real servers: vLLM on the CPU and Label Studio, in environments that are made once in TOOLKIT_SERVICE_DIR (4.5 GB).
services: $(STAMP)
	$(BIN)/pytest -m service tests

bench: $(STAMP)
	$(BIN)/python -m bench.lake

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@echo "Installed: '. $(BIN)/activate' puts toolkit on your path."
	touch $(STAMP)

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache
