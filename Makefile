# make run            a mining node on localhost:4000          (ARGS="-port=4001" passes options)
# make test           every test of the default run
# make test-long      the soaks, minutes each
# make test-tools     against programs that others wrote, installed from PyPI, npm and Debian
# make coverage       the rules' tests again, failing under 97 % of their lines and branches
# make lint           style, types and the layer check
# make docs           the pages of methods and options, docs/rpc.md and docs/options.md
# make bench          all benchmarks, one after the other
# make clean          remove what the above has made

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: docs run test test-long test-tools coverage lint bench clean

run: $(VENV)/run.stamp
	@exec $(BIN)/python misocoind.py $(ARGS)

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-long: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m long $(ARGS)

test-tools: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m tools $(ARGS)

RULES      := codec consensus crypto errors filters params policy primitives script units
RULE_TESTS := consensus crypto filters policy primitives script test_codec.py test_units.py

coverage: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 -q $(addprefix tests/unit/,$(RULE_TESTS)) \
		$(foreach part,$(RULES),--cov=misocoin.$(part)) --cov-branch \
		--cov-report=term:skip-covered --cov-fail-under=97

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp
	@for script in benchmarks/*.py; do \
		echo "== $$script"; PYTHONPATH=. $(BIN)/python $$script || exit 1; \
	done

docs: $(VENV)/dev.stamp
	PYTHONPATH=. $(BIN)/python docs/make_rpc.py > docs/rpc.md
	PYTHONPATH=. $(BIN)/python docs/make_options.py > docs/options.md

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find misocoin -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(VENV)/bin/python requirements.txt pyproject.toml setup.py $(wildcard native/*)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
