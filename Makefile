PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check --no-compile
# On all cores, where pip would use one; files for other versions of Python do not compile.
COMPILE = $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true

.PHONY: demo dashboard test test-fast tables

demo: $(VENV)/.installed
	$(BIN)/python do_digits.py 706 test --protocol best --methods Ensemble KNN IsolationForest

dashboard: $(VENV)/.installed-dashboard
	$(BIN)/python dashboard.py

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest -n auto --maxprocesses 4

test-fast: $(VENV)/.installed-test
	$(BIN)/pytest -n auto --maxprocesses 4 -m "not slow"

tables: $(VENV)/.installed
	$(BIN)/python evaluate_results.py --docs docs/results

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found %s; name one: make PYTHON=python3.12" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(BIN)/python
	$(INSTALL) -r requirements.txt
	@$(COMPILE)
	@touch $@

$(VENV)/.installed-dashboard: requirements.txt pyproject.toml | $(BIN)/python
	$(INSTALL) --editable '.[dashboard]'
	@$(COMPILE)
	@touch $@

$(VENV)/.installed-test: requirements.txt pyproject.toml | $(BIN)/python
	$(INSTALL) --editable '.[test]'
	@$(COMPILE)
	@touch $@
