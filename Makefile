# Start with `make demo` or `make test`; both set up what they need.

PYTHON ?= python3
WORKERS ?= auto
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

# A pulumi on PATH comes before the one that `make setup` may have made.
WITH_CLI = PATH="$$(command -v pulumi >/dev/null || printf '%s:' '$(CURDIR)/.tools/pulumi/bin')$$PATH"

# What `make oldest` runs: the tests without an engine.
OLDEST := .oldest
OLDEST_TESTS := $(addprefix tests/,cli client lifecycle native provider unit wire)

# What `make coverage` runs.
COVERING := $(addprefix tests/,client fleet host lifecycle ownership provider unit wire)

.DEFAULT_GOAL := help
.PHONY: help setup demo test oldest reword soak coverage mutants bench docs check dist states clean distclean

help: ## List the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo
	@echo '  PYTHON=python3.12   the interpreter of .venv (3.10 or newer)'
	@echo '  WORKERS=2           tests that run at the same time'
	@echo '  ARGS="-k wording"   arguments for pytest; for bench: --quick, --only NAME'

setup: $(READY) ## Make .venv and, if there is no pulumi on PATH, .tools/pulumi
	@$(BIN)/python tools/pulumi/install.py

demo: setup ## Show the life of a fleet on an emulator: no key, no account
	@$(WITH_CLI) $(BIN)/python tools/demo/run.py

test: setup ## Run all tests, those with the real Pulumi CLI included
	$(WITH_CLI) $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

oldest: setup ## Run the tests without an engine on the lowest versions that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(OLDEST)
	$(BIN)/uv pip install --quiet --python $(OLDEST)/bin/python \
		--resolution lowest-direct --editable '.[dev]'
	$(WITH_CLI) $(OLDEST)/bin/python -m pytest -q -n $(WORKERS) $(ARGS) $(OLDEST_TESTS)

reword: setup ## Update the wordings in the tests (inline snapshots); then review the diff
	$(BIN)/python -m pytest -q --inline-snapshot=fix $(ARGS)

soak: setup ## Test the promises with random stories; ARGS="--examples 2000 --steps 50 --seed N"
	@$(BIN)/python -m tests.stateful $(ARGS)

coverage: setup ## Run the tests of the core; less than 95 % of a room's lines, or of its branches, fails
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n $(WORKERS) $(ARGS) $(COVERING)
	$(BIN)/coverage combine -q
	@$(BIN)/coverage json -q -o - | $(BIN)/python -m tools.rooms

mutants: setup ## Change the guards of the core in every place; a change that no test notices fails
	$(BIN)/mutmut run $(ARGS)
	@survived="$$($(BIN)/mutmut results)"; echo "$$survived"; test -z "$$survived"

bench: setup ## Compare fleets with a naive provider; ARGS=--quick takes 3 minutes
	@$(WITH_CLI) $(BIN)/python -m benchmarks $(ARGS)

docs: $(READY) ## Build the docs in build/site (Python 3.11 or newer); a warning, such as a dead link, fails
	@test -x $(BIN)/zensical || { \
		echo "could not build the docs: the generator needs Python 3.11 or newer. Nothing was changed." \
			"Remove $(VENV), then: make docs PYTHON=python3.12." >&2; exit 1; }
	@$(BIN)/python -m tools.site
	@$(BIN)/zensical build --strict --clean

check: $(READY) ## Lint, check the format and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

dist: $(READY) ## Build the wheel and the sdist; check their metadata and the README in them
	rm -rf dist
	$(BIN)/hatchling build
	$(BIN)/twine check --strict dist/*

states: setup ## Record states of this version for tests/states, once for each release
	@$(WITH_CLI) $(BIN)/python -m tests.states.record

clean: ## Remove the files of builds, tests and checks
	rm -rf build dist mutants .coverage* *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . \( -path ./$(VENV) -o -path ./$(OLDEST) -o -path ./.tools \) -prune \
		-o -type d -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## Remove .venv, .oldest and .tools as well
	rm -rf $(VENV) $(OLDEST) .tools

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
		echo "could not set up '.venv': '$(PYTHON)' is not Python 3.10 or newer. Nothing was changed." \
			"Install one, or name it: make setup PYTHON=python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "could not set up '.venv': '$(PYTHON)' has no venv module. Nothing was changed." \
			"Install it (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo 'python: making .venv with the versions in constraints.txt'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev]'
	@touch $@
