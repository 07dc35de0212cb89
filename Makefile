# make demo and make test do everything on a fresh machine; the other targets are for developers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test setup check fix bench lock clean

demo: setup  ## the whole story on the built-in catalogue
	@$(BIN)/detent demo

test: setup  ## every test but the benchmarks
	@$(BIN)/python -m pytest -q

setup: $(READY)  ## a virtual environment in .venv with the locked dependencies

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"Python 3.11 or 3.12 is needed, found {v[0]}.{v[1]}: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet "uv>=0.9" || { echo "pip could not install uv: is there a network?"; exit 1; }
	@echo "installing the locked dependencies into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock -e .
	@touch $(READY)

check: setup  ## read-only: style, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: setup  ## repair what can be repaired
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

BENCHES := release gate promotion synthesis regnas
bench: $(BENCHES:%=bench-%)  ## every measurement

bench-%: setup  ## one measurement; SHORT=1 for its short form
	@PYTHONPATH=. GOMP_SPINCOUNT=1000 $(BIN)/python tests/benchmarks/$*.py

lock: setup  ## resolve the dependencies anew; no registry's address goes into the file
	@$(BIN)/uv pip compile pyproject.toml --universal --extra dev --python-version 3.11 \
		--no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock

clean:  ## remove the environment and all state
	@rm -rf $(VENV) .detent
