# Tollgate: one command to run it, one to check it. `make` alone lists them.
#
# Everything is installed into .venv/ from requirements files with hashes. A stamp in .venv/ remembers what is
# installed, so a second run starts at once. Paths are relative: the clone may lie at a path with spaces.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
NOT_INSTALLED := { echo "The packages were not installed, for the reason above. The next make begins anew."; exit 1; }
# A slow network is waited for.
export PIP_DEFAULT_TIMEOUT ?= 60
export PIP_RETRIES ?= 10
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-strip-extras --custom-compile-command "make lock" pyproject.toml --group build
MAKEFLAGS += --no-print-directory
# Tests start many processes: each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE
# Every test process has servers of its own; a file's tests stay in one process, in the order of tests/conftest.py.
# A test that hangs shows where, and ends with its process: the slowest takes a minute.
SIDE_BY_SIDE := --numprocesses 3 --dist loadfile --no-loadscope-reorder \
	-o faulthandler_timeout=900 -o faulthandler_exit_on_timeout=true
# Per cent of lines and branches that tests run through, at the least.
COVERED_MIN := 95

.DEFAULT_GOAL := help
.PHONY: help run test search check check-fast lint format types imports tidy tests-with-coverage fix schema schema-check bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

run: .venv/.runtime ## start everything on this machine and print the addresses; Ctrl-C stops it
	@$(BIN)/tollgate up

test: .venv/.dev ## run the whole test suite on throw-away servers
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

search: .venv/.dev ## look for counterexamples among other random values than those of every run
	@$(BIN)/python -m pytest -m hypothesis --hypothesis-profile search

check: lint format types imports schema-check tests-with-coverage ## everything that must hold before a merge

check-fast: lint format types imports tidy ## lint, types, imports and tidiness; under a minute

lint: .venv/.dev
	$(BIN)/ruff check

format: .venv/.dev
	$(BIN)/ruff format --check

types: .venv/.dev
	$(BIN)/mypy

imports: .venv/.dev
	$(BIN)/lint-imports

tidy: .venv/.dev
	$(BIN)/python -m pytest -q tests/test_tidy.py

tests-with-coverage: .venv/.dev
	$(BIN)/python -m slipcover --json --out .coverage.json -m pytest $(SIDE_BY_SIDE)
	$(BIN)/python -m slipcover --fail-under $(COVERED_MIN) --merge .coverage.json --out .coverage.json

fix: .venv/.dev ## correct what the linter can, and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

schema: .venv/.runtime ## write schema.graphql from the code
	@$(BIN)/tollgate schema > schema.graphql.new || { rm -f schema.graphql.new; exit 1; }
	@mv schema.graphql.new schema.graphql

schema-check: .venv/.runtime
	@written=$$($(BIN)/tollgate schema) || exit 1; printf '%s\n' "$$written" | diff -u schema.graphql - \
		|| { echo "schema.graphql does not fit the code; run 'make schema' and commit it"; exit 1; }

bench: .venv/.dev ## measure against baselines; the table goes into docs/performance.md
	@$(BIN)/python -m bench

lock: .venv/.dev ## compile the requirements files from pyproject.toml
	$(COMPILE) --output-file requirements.txt
	$(COMPILE) --extra dev --constraints requirements.txt --output-file requirements-dev.txt

clean: ## remove what was installed and cached; .tollgate/ (the data) stays
	rm -rf .venv build dist tollgate_meter/build tollgate_meter/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage.json *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp holds words about the interpreter and the place that .venv/ was made for. While packages are installed there
# is none: what was left half made, or came from elsewhere, is made anew, for pip takes a half installed package for one.
# Without words it is an earlier one, and whole.
WORDS := { $(BIN)/python -VV; pwd -P; } 2>&1 | cksum | tr ' ' -
ifneq ($(filter-out $(shell $(WORDS)),$(shell cat .venv/.runtime 2>/dev/null)),)
.venv/.runtime: of-another-place
endif
.PHONY: of-another-place

# The console script needs the project itself: installed in place, by the setuptools of the lock.
.venv/.runtime: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Tollgate needs Python 3.11 or later as '$(PYTHON)'; name one with: make PYTHON=/path/to/python3.11 …"; exit 1; }
	@echo "Installing the pinned packages into .venv/ (once)"
	@{ test -f $@ && test -z "$$(cat $@ | grep -v "^$$($(WORDS))$$")"; } || $(PYTHON) -m venv --clear .venv
	@rm -f $@ .venv/.dev
	@$(PIP) install --require-hashes -r requirements.txt || $(NOT_INSTALLED)
	@$(PIP) install --no-deps --no-build-isolation -e . || $(NOT_INSTALLED)
	@$(WORDS) > $@

.venv/.dev: .venv/.runtime requirements-dev.txt
	@mv .venv/.runtime .venv/.half
	@$(PIP) install --require-hashes -r requirements-dev.txt || $(NOT_INSTALLED)
	@mv .venv/.half .venv/.runtime
	@touch $@
