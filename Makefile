# make demo   environment, quickstart study on a local Dask cluster, report
# make test   environment with what the tests need and the faster transforms (ducc0, GPL), tests
# make check  everything CI runs: tests, lint, types
# make site   the documentation site, in site/: open site/index.html
# make wheel  a wheel and an sdist in dist/, tried in an environment of their own (.ci/wheel)
# make lock   constraints.txt and constraints-hashed.txt of what is installed now; make licences for docs/licences.md
# make figures [STUDIES="levels noise"] [SET="stop.iterations=50 seed=0"] [CLUSTER=slurm]
#             the papers' studies, what is missing of them, and their figures in figures/; then the pictures
#             of the README and docs. All of it is hours (docs/papers.md).
# make gpu    [GPU="--dry-run"] what waits for a GPU, in eight minutes: tests, a sweep, times (docs/gpu.md); into
#             $OUT or results/gpu. Uses PYTHON as it is, with a folder of wheels in .whl, and no network.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEV    := $(VENV)/.dev-ready
DOCS   := $(VENV)/.docs-ready

STUDIES ?= setup levels noise overlap circuit fast-forward fast-forward-other-instruments \
    fast-forward-known fast-forward-multigrid fast-forward-sizes
SET     ?=
CLUSTER ?= local

.PHONY: demo test check lint site wheel lock licences clean figures pictures gpu

demo: $(READY)
	$(BIN)/ptychosuite run studies/quickstart.yaml --cluster local
	$(BIN)/ptychosuite report studies/quickstart.yaml

# Side by side on up to four cores. Compiled files are kept: the tests start many interpreters.
test: $(DEV)
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

figures: $(DEV)
	for study in $(STUDIES); do \
	    $(BIN)/ptychosuite run studies/paper/$$study.yaml --cluster $(CLUSTER) $(foreach each,$(SET),--set '$(each)') && \
	    $(BIN)/ptychosuite figures studies/paper/$$study.yaml $(foreach each,$(SET),--set '$(each)') || exit; \
	done
	$(MAKE) pictures

pictures: $(DEV)
	$(BIN)/python docs/pictures.py --run

gpu:
	PYTHON=$(PYTHON) benchmarks/gpu.sh $(GPU)

check: test lint

lint: $(DEV)
	$(BIN)/ruff check suite tests benchmarks docs
	$(BIN)/ruff format --check suite tests benchmarks docs
	$(BIN)/mypy

# Some systems ship Python without the pieces that venv needs; virtualenv from PyPI brings its own.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV) && \
	    $(PYTHON) -m pip install --quiet --target $(VENV)-bootstrap virtualenv && \
	    PYTHONPATH=$(VENV)-bootstrap $(PYTHON) -m virtualenv --quiet $(VENV) && \
	    rm -rf $(VENV)-bootstrap; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(DEV): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,fast]'
	touch $@

wheel:
	PYTHON=$(PYTHON) .ci/wheel

# Everything is strict: a broken link fails it. The theme's makers warn of a later mkdocs, which is not the pinned one.
site: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

$(DOCS): $(DEV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

# Lock what is installed now, after trying newer versions by hand. The hashes are those of the package index, of what
# an installation without extras takes.
lock: $(DEV) $(DOCS)
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt
	$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command 'make lock' --constraint constraints.txt pyproject.toml \
	    --output-file constraints-hashed.txt
	rm -rf $(VENV)-lock

licences: $(DEV)
	$(BIN)/python docs/licences.py > docs/licences.md

clean:
	rm -rf $(VENV) $(VENV)-bootstrap $(VENV)-lock site .mypy_cache .pytest_cache .ruff_cache .hypothesis
