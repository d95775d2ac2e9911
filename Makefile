# Everything runs in .venv, which is made with the standard library when it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test coverage lint bench sarif-check clean

$(VENV)/.made: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(VENV)/.made  ## scan the demo project; it is meant to fail, so its exit code is shown, not passed on
	@$(BIN)/supplyguard scan --offline fixtures/demo_project; echo "exit code: $$?"

test: $(VENV)/.made  ## run all tests, on all cores
	$(BIN)/python -m pytest --numprocesses auto

coverage: $(VENV)/.made  ## measure branch coverage, without the heaviest tests
	$(BIN)/python -m pytest --numprocesses auto -m 'not heavy' --cov --cov-report=term

lint: $(VENV)/.made  ## formatting, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.made  ## measure against the peers; see bench/README.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement bench/requirements.txt
	$(BIN)/python bench/run.py

SARIF_TOOL := node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool

$(SARIF_TOOL):
	npm install --no-save --no-audit --no-fund @microsoft/sarif-multitool@5.7.0
	chmod u+x $@

sarif-check: $(VENV)/.made $(SARIF_TOOL)  ## validate our SARIF with Microsoft's validator (needs npm)
	$(BIN)/python -m pytest tests/reporters/test_sarif_multitool.py

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
