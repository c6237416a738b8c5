# Everything a developer or an operator runs; `make` alone lists it. Needs python3.11+ and make, nothing else.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
WORKERS ?= 2
# Some images forbid Python to keep what it compiled: each program we or the tests start would compile LLMLab anew.
export PYTHONDONTWRITEBYTECODE :=
# pytest arguments: make test ARGS="tests/core -k health"
ARGS ?=
# make sdk-test SDK="python go"; SDK=--all fails where a language's tools are missing (CI)
SDK ?=
# The browser tests need Debian's chromium; without one they are left out, and a line says so.
CHROMIUM := $(shell command -v chromium || command -v chromium-browser)
BROWSER_TESTS := $(if $(CHROMIUM),,-m "not browser")
# Throw-away secrets, so that the production settings can be checked.
PROD_CHECK := DJANGO_SETTINGS_MODULE=config.settings.prod LLMLAB_ALLOWED_HOSTS=llmlab.example LLMLAB_BASE_URL=https://llmlab.example \
	LLMLAB_SECRET_KEY=$$(head -c 60 /dev/urandom | base64 | tr -d '\n') LLMLAB_ENCRYPTION_KEYS=$$(head -c 32 /dev/urandom | base64) \
	DATABASE_URL=postgres://nobody@127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0

.PHONY: help install run test test-fast clients browser bench lint format types arch migrations-check seed doctor sdk-install sdk-build sdk-test ci clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("LLMLab needs Python 3.11 or newer, this is %s. Name one: make PYTHON=/path/to/python3.11" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(RUN): requirements.txt | $(BIN)/python
	@echo "Installing into $(VENV) (about a minute the first time)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r requirements.txt
	@touch $@

$(DEV): requirements.txt requirements-dev.txt | $(BIN)/python
	@echo "Installing development tools into $(VENV) (about a minute and a half the first time)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r requirements-dev.txt
	@touch $(RUN) $@

install: $(RUN) ## create .venv and install what LLMLab needs to run

run: $(RUN) ## start LLMLab with its own PostgreSQL and Redis (PORT=8000, DEMO=0 without demo data)
	@exec $(BIN)/python manage.py dev

seed: $(RUN) ## put the demo organisation and its history into the running LLMLab
	$(BIN)/python manage.py seed_demo

doctor: $(RUN) ## name what is missing, unreachable or misconfigured
	$(BIN)/python manage.py doctor

test: $(DEV) clients ## run every test (browser tests only where chromium is installed: make browser)
	@$(if $(CHROMIUM),:,echo "No chromium on this machine: browser tests are left out. Install it with: make browser")
	$(BIN)/python -m pytest -n $(WORKERS) $(BROWSER_TESTS) $(ARGS)

test-fast: $(DEV) ## run the tests that take no browser and no ten seconds
	$(BIN)/python -m pytest -n $(WORKERS) -m "not browser and not slow" $(ARGS)

clients: $(DEV) ## install the real clients the tests run against, each apart (var/clients)
	@$(BIN)/python -m tests.clients.install $(filter --all,$(SDK))

browser: ## install Debian's chromium for the browser tests (needs root and apt)
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
		command -v apt-get >/dev/null || { echo "No apt-get here: install chromium yourself and put it on the PATH."; exit 1; }; \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium; }

sdk-install: $(DEV) ## what the SDKs' suites need: npm packages, and Debian's Go where there is none (needs root)
	@$(BIN)/python -m sdks.suites install $(SDK)

sdk-build: $(DEV) ## build the JavaScript SDK, so that this LLMLab offers it under /sdks/
	@$(BIN)/python -m sdks.suites build $(SDK)

sdk-test: $(DEV) ## the suites of the Python, JavaScript and Go SDKs; what has no tools here is left out
	@$(BIN)/python -m sdks.suites test $(SDK)

lint: $(DEV) ## ruff and djlint; the Python SDK by its own rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint --quiet --lint templates

bench: $(DEV) ## measure ingestion on this machine (benchmarks/README.md lists the others)
	$(BIN)/python -m benchmarks.ingest

format: $(DEV) ## rewrite Python in the house style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

types: $(DEV) ## mypy, strict; the Python SDK by its own settings
	$(BIN)/mypy
	cd sdks/python && ../../$(BIN)/mypy

arch: $(DEV) ## who may import whom
	$(BIN)/lint-imports

migrations-check: $(DEV) ## no model change without its migration, no unsafe production setting
	DJANGO_SETTINGS_MODULE=config.settings.test $(BIN)/python manage.py makemigrations --check --dry-run
	$(PROD_CHECK) $(BIN)/python manage.py check --deploy --fail-level WARNING

ci: lint types arch migrations-check sdk-build test sdk-test ## exactly what CI runs

clean: ## remove caches, not data
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache staticfiles
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
