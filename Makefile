# make: from a fresh clone to the leaderboards. make help: everything else.
.DEFAULT_GOAL := run
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run tune test lint format ui benchmark constraints audit clean help

run: $(VENV)/installed ## Run every stage that is not up to date and print the leaderboards
	@dvc repro
	@python -m pipeline.leaderboard
	@echo "The verdict in a browser: reports/index.html. Every run is in MLflow: make ui"

tune: $(VENV)/installed ## Tune each model of a TASK alike: BUDGET=10m or TRIALS=30
	@python -m pipeline.tune $(if $(TASK),task=$(TASK)) $(if $(BUDGET),sweep.budget=$(BUDGET)) $(if $(TRIALS),sweep.n_trials=$(TRIALS))

# Threads of two processes that wait for one another on the same cores take many times as long.
test: $(VENV)/installed ## Run the tests, but for the slow ones: pytest -m slow
	@OMP_NUM_THREADS=1 pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/installed ## Check style and types
	@ruff check .
	@ruff format --check .
	@mypy

format: $(VENV)/installed ## Put the code in the project's style
	@ruff check --fix .
	@ruff format .

ui: $(VENV)/installed ## Open the runs in MLflow's UI on 127.0.0.1:5000
	@python -m pipeline.tracking.ui

benchmark: $(VENV)/installed ## Time the project against its peers
	@for file in benchmarks/*.py; do python $$file || exit; done

constraints: $(VENV)/installed ## Refresh the exact versions in constraints.txt
	@uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-annotate --upgrade --output-file constraints.txt

audit: $(VENV)/installed ## Look up the versions in constraints.txt among known vulnerabilities
	@uv tool run --from pip-audit==2.10.1 pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

clean: ## Remove what the stages wrote; runs and the virtual environment stay
	@rm -rf composed data/ingested data/features models ensembles metrics reports multirun dvc_plots

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

# Anew only when what is to be installed has changed.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "error: Python 3.11 to 3.13 is needed, this is $$($(PYTHON) --version): make PYTHON=python3.12"; exit 1; }
	@echo "Installing into $(VENV), a few minutes the first time ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[parallel,dev]'
	@touch $@
