# Everything runs in one virtual environment inside the checkout, from the pinned lock files.
# PYTHON=python3.12 names an interpreter; without it the first of these that is new enough is taken.

SHELL := bash
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip -qq
CANDIDATES := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
# All tests run on every core, each file of them on one, and their branch coverage is measured; a part (ARGS) runs in
# one process, and can be debugged there.
ALL_TESTS := --numprocesses auto --dist loadfile --cov --cov-report=
# What the tests' outcome rests on: tests that passed on exactly these files are not run twice.
TESTED := $(shell git ls-files --cached --others --exclude-standard 2>/dev/null)
UV := uv==0.13.9

.DEFAULT_GOAL := help
.PHONY: help demo test check bench format lock install install-dev clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: install ## See one governed run, from trigger to executed write
	@$(BIN)/bailiwick demo $(ARGS)

test: install-dev ## Run the tests
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@rm -f $(VENV)/.tested
	@$(MAKE) --no-print-directory $(VENV)/.tested
endif

check: install-dev ## Format, lint, types, layering, the tests unless they passed on these very files, and branch coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory $(VENV)/.tested
	$(BIN)/coverage report
	@tail -n 1 $(VENV)/.tested

bench: install-dev ## Measure against the peers; NAMES="governed_call" JSON=rows.json
	@$(BIN)/python -m benchmarks $(or $(NAMES),governed_call) $(if $(JSON),--json $(JSON))

format: install-dev ## Format the code and sort its imports
	@$(BIN)/ruff check --select I --fix .
	@$(BIN)/ruff format .

install: $(VENV)/.core ## Create .venv with the pinned dependencies and this project
install-dev: $(VENV)/.dev ## The same, and what the tests and checks need

$(BIN)/python:
	@for candidate in $(CANDIDATES); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Creating $(VENV) with $$("$$candidate" --version)."; \
	    "$$candidate" -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); \
	    echo "No virtual environment could be created with $$candidate: see the lines above (on Debian, install python3-venv)." >&2; \
	    exit 1; \
	  fi; \
	done; \
	echo "Bailiwick needs Python 3.11 or newer, and none of these is: $(CANDIDATES). Install one, or name it: make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3." >&2; \
	exit 1

# The test runner's own words are kept: its last line is what "make check" closes with.
$(VENV)/.tested: $(VENV)/.dev $(wildcard $(TESTED))
	@set -o pipefail; $(BIN)/python -m pytest $(ALL_TESTS) 2>&1 | tee $(VENV)/tests.log
	@grep -aE '(passed|failed|error).* in [0-9.]+s' $(VENV)/tests.log | tail -n 1 > $@

# The second installation builds nothing in isolation: its build backend is pinned in the lock too.
$(VENV)/.core: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the pinned dependencies into $(VENV) (once)."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing the pinned dependencies, tests and checks included, into $(VENV) (once)."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.core

# A lock file is universal: one resolution for Python 3.11 to 3.13 and every platform. PyTorch is left out of it altogether,
# and with it the gigabytes that only it asks for. $(1) the file, $(2) what goes in, $(3) the lines at its head.
define lock_file
@.venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-strip-extras --no-annotate --no-header \
  $(if $(UPGRADE),--upgrade) --overrides .venv-lock/without-torch.txt $(2) -o $(1) pyproject.toml
@{ printf '# %s\n' $(3) 'Written by "make lock".'; cat $(1); } > .venv-lock/whole && cp .venv-lock/whole $(1)
endef
CORE_HEAD := 'What Bailiwick runs on, and the build backend of its editable installation.' \
  'pip install --require-hashes -r requirements.lock'
DEV_HEAD := 'The core, PostgreSQL driver and tokenizers included, and what tests and checks need.' \
  'pip install --require-hashes -r requirements-dev.lock'
SEMANTIC_HEAD := 'The core and the extra "semantic", without PyTorch: its builds differ by machine. Install the wanted build first:' \
  'pip install torch==2.13.0' \
  'pip install --require-hashes -r requirements-semantic.lock'

lock: | $(BIN)/python ## Resolve the lock files again; UPGRADE=1 takes newer versions
	@test -x .venv-lock/bin/uv || { $(BIN)/python -m venv .venv-lock && .venv-lock/bin/python -m pip -qq install $(UV); }
	@echo 'torch ; python_version < "3"' > .venv-lock/without-torch.txt
	$(call lock_file,requirements.lock,--group build,$(CORE_HEAD))
	$(call lock_file,requirements-dev.lock,--group build --group dev --extra postgres --extra tokenizer -c requirements.lock,$(DEV_HEAD))
	$(call lock_file,requirements-semantic.lock,--extra semantic -c requirements-dev.lock,$(SEMANTIC_HEAD))

clean: ## Remove the virtual environments and what the tools cached
	@rm -rf .venv .venv-lock .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov build dist
