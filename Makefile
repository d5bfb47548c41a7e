# make demo   environment, quickstart study on a local Dask cluster, report
# make test   environment, tests
# make check  everything CI runs: tests, lint, types
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test check lint lock clean

demo: $(READY)
	$(BIN)/ptychosuite run studies/quickstart.yaml --cluster local
	$(BIN)/ptychosuite report studies/quickstart.yaml

# Side by side on up to four cores. Compiled files are kept: the tests start many interpreters.
test: $(READY)
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

check: test lint

lint: $(READY)
	$(BIN)/ruff check suite tests benchmarks docs
	$(BIN)/ruff format --check suite tests benchmarks docs
	$(BIN)/mypy

# Some systems ship Python without the pieces that venv needs; virtualenv from PyPI brings its own.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV) && \
	    $(PYTHON) -m pip install --quiet --target $(VENV)-bootstrap virtualenv && \
	    PYTHONPATH=$(VENV)-bootstrap $(PYTHON) -m virtualenv --quiet $(VENV) && \
	    rm -rf $(VENV)-bootstrap; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,fast]'
	touch $@

# Lock what is installed now, after trying newer versions by hand.
lock: $(READY)
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt

clean:
	rm -rf $(VENV) $(VENV)-bootstrap .mypy_cache .pytest_cache .ruff_cache .hypothesis
