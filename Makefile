# Everything a person does with this project: serve, build, test, check, e2e, clean.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
INSTALLED := $(VENV)/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export NO_MKDOCS_2_WARNING := 1
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

.PHONY: serve build test check e2e constraints picture clean

serve: $(INSTALLED)  ## the site in both languages on 127.0.0.1:8000, rebuilt as you edit
	mkdocs serve

build: $(INSTALLED)  ## the site, strictly, into site/
	mkdocs build --strict

test: $(INSTALLED)  ## every example, number and claim verified
	pytest --ignore=tests/e2e

check: $(INSTALLED)  ## format, lint, types
	ruff format --check .
	ruff check .
	mypy

e2e: $(INSTALLED)  ## the built site in a real browser (needs Chromium)
	pytest tests/e2e

# Installed again when, and only when, the pins have changed.
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: no python3 found: install Python 3.11 or newer, or say make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11: say make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(VENV)/bin/pip || $(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[site,test,dev]'
	touch $@

constraints:  ## constraints.txt anew, after a pin in pyproject.toml was changed
	rm -rf .cache/constraints && $(PYTHON) -m venv .cache/constraints
	.cache/constraints/bin/pip install --quiet --disable-pip-version-check '.[site,test,dev]'
	.cache/constraints/bin/pip freeze --exclude reglab | sed 's/+cpu$$//' > constraints.txt
	rm -rf .cache/constraints

picture: $(INSTALLED)  ## the README's picture anew, after its experiment was changed
	python -m reglab_site weave --to .cache/woven
	for language in zh en; do \
	    cp .cache/woven/figures/weight_decay-fit.$$language.svg .github/picture.$$language.svg; \
	done

clean:  ## remove all that can be made again, but not the environment
	rm -rf site .cache .mypy_cache .ruff_cache .pytest_cache
