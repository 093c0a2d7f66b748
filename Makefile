# Every target works on a machine that has Python 3.11 or later, make and git.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DIR    ?= ./data
PORT   ?= 8000
IMAGES ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check bench bench-full wheelhouse lock clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime ## Make .venv with the locked dependencies

demo: setup ## Watch Blemish learn a product and find its defects (IMAGES=folder: your own pictures)
	$(BIN)/blemish demo $(if $(IMAGES),--images '$(IMAGES)')

serve: setup ## Serve the API on loopback (DIR=folder, PORT=8000)
	$(BIN)/blemish serve --data-dir '$(DIR)' --port $(PORT)

test: $(VENV)/.dev check ## Format, lint, types, import contract and tests
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## Measure quality, speed and load (at most 15 minutes)
	$(BIN)/python -m benchmarks

wheelhouse: setup ## Write ./wheelhouse, from which pip installs Blemish without a network
	rm -rf wheelhouse
	$(BIN)/python -m pip wheel --quiet --require-hashes --no-deps -r requirements.lock --wheel-dir wheelhouse
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheelhouse .
	@echo "On the other machine: pip install --no-index --find-links wheelhouse blemish"

lock: ## Write the lock files anew (needs uv)
	for groups in ':' 'dev:-dev'; do \
	  uv pip compile pyproject.toml --group $${groups%%:*} -o requirements$${groups##*:}.lock $(UV_FLAGS) ; done

clean: ## Remove what the other targets made
	rm -rf $(VENV) .demo-data wheelhouse

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@
