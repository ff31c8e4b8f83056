# make quickstart: a first real run. make test: what CI runs. Both need no network but the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

.PHONY: quickstart test lint docs site matrix reliability fuzz audit lock zoo clean

quickstart: $(VENV)/.quickstart
	$(BIN)/tunewright fit examples/support_messages.csv --model all-MiniLM-L6-v2 --target topic --strategy partial --seed 0

test: $(VENV)/.test
	$(BIN)/python -m pytest

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/imports.py
	$(BIN)/python tools/docs.py --check
	$(BIN)/mypy

docs: $(VENV)/.test
	$(BIN)/python tools/docs.py

# The documentation as a site that opens from its files: build/site/index.html. A warning is an error.
site: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html -d build/site-cache docs build/site

matrix: $(VENV)/.test
	$(BIN)/python tools/matrix.py

# Kills, signals, full disks and damaged checkpoints: one JSON line per case, then one line per suite.
reliability: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.reliability --all

# Readers under changed bytes for SECONDS; what is found is kept in tests/fuzz/corpus. Coverage guides it where atheris can be installed.
SECONDS ?= 600
fuzz: $(VENV)/.test
	-$(BIN)/python -m pip install --quiet --no-deps atheris==3.0.0
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --seconds $(SECONDS)

# Known vulnerabilities of what is locked; says so where the advisory database cannot be reached, and fails for what it knows.
AUDIT := $(VENV)/audit
audit: $(AUDIT)/.made
	rm -f $(AUDIT)/report.json
	-timeout 300 $(AUDIT)/bin/pip-audit --disable-pip --no-deps --progress-spinner off --format json --output $(AUDIT)/report.json \
		--requirement requirements/quickstart.lock --requirement requirements/test.lock --requirement requirements/docs.lock
	$(PYTHON) tools/audit.py $(AUDIT)/report.json

# Hashes of every file of every pinned version; run it after a change of requirements/*.txt.
lock: $(AUDIT)/.made
	for name in quickstart test docs; do \
		(head -1 requirements/$$name.lock; $(AUDIT)/bin/uv pip compile --no-config --no-deps --generate-hashes --no-annotate --no-header \
		--quiet --python-version 3.11 requirements/$$name.txt) > requirements/$$name.new && mv requirements/$$name.new requirements/$$name.lock || exit 1; \
	done

$(AUDIT)/.made:
	$(PYTHON) -m venv $(AUDIT)
	-$(AUDIT)/bin/python -m pip install --quiet pip-audit==2.10.1 uv==0.13.9
	touch $@

# Builds the small models of zoo/ again; reads public data from $$TUNEWRIGHT_DATA.
zoo: $(VENV)/.test
	for script in zoo/tiny_*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) build dist

# torch comes first and by itself, so that nothing else decides which build of it is taken; the rest is exact and complete, and
# nothing is taken whose hash is not in the lock.
$(VENV)/.torch: requirements/torch.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements/torch.txt
	touch $@

$(VENV)/.quickstart: $(VENV)/.torch requirements/quickstart.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/quickstart.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.test: $(VENV)/.quickstart requirements/test.lock
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/test.lock
	touch $@

$(VENV)/.docs: $(VENV)/.test requirements/docs.lock
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/docs.lock
	touch $@
