# The two commands of a newcomer are `make demo` and `make test`; both set up what they need.

PYTHON ?= python3
WORKERS ?= auto
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

# The pulumi on PATH is used; the one that `make setup` may have made only where there is none.
WITH_CLI = PATH="$$(command -v pulumi >/dev/null || printf '%s:' '$(CURDIR)/.tools/pulumi/bin')$$PATH"

.DEFAULT_GOAL := help
.PHONY: help setup demo test reword soak coverage mutants bench check clean distclean

help: ## List the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo
	@echo '  PYTHON=python3.12   the interpreter for .venv (3.10 or newer)'
	@echo '  WORKERS=2           how many tests run at once'
	@echo '  ARGS="-k wording"   more arguments for pytest, or for bench: --quick, --only NAME'

setup: $(READY) ## Make .venv and, where no pulumi is on PATH, .tools/pulumi
	@$(BIN)/python tools/pulumi/install.py

demo: setup ## Show a fleet come up, change, heal and go, on an emulator: no key, no account
	@$(WITH_CLI) $(BIN)/python tools/demo/run.py

test: setup ## Run every tier of the tests, the one with the real CLI included
	$(WITH_CLI) $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

reword: setup ## Write the sentences that tests hold again, as they are now; then read the diff
	$(BIN)/python -m pytest -q --inline-snapshot=fix $(ARGS)

soak: setup ## Hold the promises against random stories; ARGS="--examples 2000 --steps 50 --seed N"
	@$(BIN)/python -m tests.stateful $(ARGS)

coverage: setup ## Run the tests of the rooms that must not fail; less than 95 % of one fails
	@$(BIN)/python -m tools.coverage -n $(WORKERS) $(ARGS)

mutants: setup ## Take each guard out of a copy of the code, and see that the tests notice
	@$(BIN)/python -m tools.mutants $(ARGS)

bench: setup ## Measure fleets beside a naive provider; ARGS=--quick takes 3 minutes
	@$(WITH_CLI) $(BIN)/python -m benchmarks $(ARGS)

check: $(READY) ## Lint, check the format and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## Remove what builds, tests and checks leave behind
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . \( -path ./$(VENV) -o -path ./.tools \) -prune \
		-o -type d -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## Remove .venv and .tools as well
	rm -rf $(VENV) .tools

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
		echo "could not set up '.venv': '$(PYTHON)' is not Python 3.10 or newer. Nothing was changed." \
			"Install one, or name it: make setup PYTHON=python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "could not set up '.venv': '$(PYTHON)' has no venv module. Nothing was changed." \
			"Install it (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo 'python: making .venv with what constraints.txt pins'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev]'
	@touch $@
