# Every target works on a machine that has Python 3.11 or later, make and git.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
UV     ?= uv
VENV   := .venv
BIN    := $(VENV)/bin
PEERS  := .venv-peers
# What `make demo` left is served until there are data of one's own.
DIR    ?= $(if $(wildcard data),./data,$(if $(wildcard .blemish-demo/blemish.db),.blemish-demo,./data))
PORT   ?= 8000
IMAGES ?=
SHARE  ?= 1.0
WHEELS ?= wheelhouse
EDGE   ?= blemish-edge
# What an index links to; the sources name no address.
PROJECT_URL ?=
OSV ?=
SITE ?= build/site

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-postgresql nightly campaign check bench bench-full bench-peers wheelhouse edge release audit docs messages lock clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime ## Make .venv with the locked dependencies (PYTHON=python3.12)

demo: setup ## Watch Blemish learn a product and find its defects (IMAGES=folder: your own images)
	@$(BIN)/blemish demo $(if $(IMAGES),--images '$(IMAGES)')

serve: setup ## Serve the API and the console on loopback (DIR=folder, PORT=8000)
	@$(BIN)/blemish serve --data-dir '$(DIR)' --port '$(PORT)'

test: check ## Check format, lint, types and layers, and run the tests
	$(BIN)/python -m pytest -m 'not slow' --numprocesses 4 --dist loadfile --no-loadscope-reorder

test-postgresql: $(VENV)/.dev ## Run the tests of rows and services on PostgreSQL
	BLEMISH_TEST_DATABASE=postgresql $(BIN)/python -m pytest -m 'not slow and not sqlite' \
		--numprocesses 4 --dist loadfile --no-loadscope-reorder \
		tests/unit/storage tests/unit/service tests/unit/runners

nightly: check ## Run the tests that take too long for `make test` (about half an hour)
	$(BIN)/python -m pytest -m slow --numprocesses 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m benchmarks.campaign --share 0.01

campaign: $(VENV)/.dev ## Attack a server for hours: kills, full disks, hostile requests (SHARE=0.1: a tenth)
	$(BIN)/python -m benchmarks.campaign --share $(SHARE)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## Measure quality and speed (at most 15 minutes)
	$(BIN)/python -m benchmarks

bench-full: $(VENV)/.dev ## Measure what takes a night (the next one goes on from there)
	$(BIN)/python -m benchmarks.fuzz
	$(BIN)/python -m benchmarks.edge
	$(BIN)/python -m benchmarks.station
	$(BIN)/python -m benchmarks.lifetimes
	$(BIN)/python -m benchmarks.s3 --long
	$(BIN)/python -m benchmarks.quality --full --minutes 420
	$(BIN)/python -m benchmarks.scale

bench-peers: $(VENV)/.dev $(PEERS)/.made ## Measure quality and speed beside anomalib's models
	$(BIN)/python -m benchmarks.quality --peers
	$(BIN)/python -m benchmarks.speed

wheelhouse: setup ## Write ./wheelhouse, from which pip installs Blemish without a network
	@echo "Writing $(WHEELS)"
	@rm -rf '$(WHEELS)'
	@$(call pip,wheel --require-hashes --no-deps --wheel-dir '$(WHEELS)' -r requirements.lock)
	@$(call pip,wheel --no-deps --no-build-isolation --wheel-dir '$(WHEELS)' .)
	@$(call pip,wheel --no-deps --no-build-isolation --wheel-dir '$(WHEELS)' ./deploy/edge)
	@echo "On the other machine: pip install --no-index --find-links wheelhouse blemish"
	@echo "On a device: pip install --no-index --find-links wheelhouse blemish-edge"

edge: setup ## Write ./blemish-edge, the edge agent in one folder, for devices like this machine
	@echo "Writing $(EDGE)"
	@rm -rf '$(EDGE)'
	@$(call pip,install --require-hashes --no-deps --no-compile --target '$(EDGE)/lib' -r requirements-edge.lock)
	@$(call pip,install --no-deps --no-build-isolation --no-compile --target '$(EDGE)/lib' ./deploy/edge)
	@deploy/edge/slim '$(EDGE)' $(BIN)/python
	@echo "On a device: copy the folder to /opt; run /opt/blemish-edge/bin/blemish edge agent"

release: setup ## Write ./dist: wheels, sources, bill of materials, licences (PROJECT_URL=https://...)
	@BLEMISH_PROJECT_URL='$(PROJECT_URL)' $(BIN)/python -m release dist
	@cat dist/SHA256SUMS

audit: setup ## Look for known vulnerabilities in what is locked (OSV=all.zip: OSV's export for PyPI)
	@$(BIN)/python -m release.audit '$(OSV)' *.lock

docs: $(VENV)/.dev ## Write the site of the documentation to ./build/site (SITE=folder: beside other versions)
	@$(BIN)/python -m documentation.website '$(SITE)'
	@echo "To read it: python3 -m http.server --directory $(SITE)"

messages: $(VENV)/.dev ## Bring the catalogues of the console's languages up to date
	@$(BIN)/python -m documentation.messages

lock: ## Write the lock files anew (needs uv; UPGRADE=1 takes newer versions)
	$(LOCK) --extra edge --extra genicam --extra postgresql --extra station --group build -o requirements.lock pyproject.toml
	$(LOCK) --extra edge --extra genicam --extra postgresql --extra station --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	$(LOCK) --extra postgresql --extra ray -c requirements.lock -o requirements-cluster.lock pyproject.toml
	$(LOCK) -c requirements.lock -o requirements-edge.lock deploy/edge/pyproject.toml
	$(LOCK) --group current-boto3 --upgrade -o requirements-current-boto3.lock
	$(LOCK) --group s3-clients -o requirements-s3-clients.lock
	$(LOCK) --group identity-provider -o requirements-identity-provider.lock
	$(LOCK) --group release -o requirements-release.lock
	$(LOCK) --group sample-sdk -o requirements-sample-sdk.lock
	$(LOCK) --group peers -o requirements-peers.lock

clean: ## Remove what the other targets made, but no data of a server or a demo
	rm -rf .venv .venv-boto3-current .venv-cluster .venv-identity-provider .venv-release .venv-s3-clients .venv-sample-sdk $(PEERS) build dist wheelhouse blemish-edge .*_cache .hypothesis .coverage*

LOCK = $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

# Runs pip with what it is doing in one line of the terminal; its errors are shown whole.
define pip
PYTHONUNBUFFERED=1 $(BIN)/python -m pip $(1) --no-input --disable-pip-version-check \
	--progress-bar off | while IFS= read -r line; do \
	[[ ! -t 1 ]] || printf '\r\033[K  %.70s' "$${line#"$${line%%[! ]*}"}"; \
	done; [[ ! -t 1 ]] || printf '\r\033[K'
endef

# A .venv whose making was cut off has no stamp, one whose Python is gone has no use: made anew.
ifeq ($(shell test -x $(BIN)/python && test ! -e $(VENV)/.installing || echo broken),broken)
$(shell rm -f $(VENV)/.made)
endif

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	"Blemish needs Python 3.11 or later, and $(PYTHON) is none. Try: make PYTHON=python3.12" \
	>&2; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock pyproject.toml $(VENV)/.made
	@echo "Installing what requirements.lock names (140 MB to fetch the first time)"
	@touch $(VENV)/.installing
	@$(call pip,install --require-hashes -r requirements.lock)
	@$(call pip,install --no-deps --no-build-isolation --editable .)
	@rm $(VENV)/.installing
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "Installing what requirements-dev.lock names"
	@touch $(VENV)/.installing
	@$(call pip,install --require-hashes -r requirements-dev.lock)
	@rm $(VENV)/.installing
	@touch $@

$(PEERS)/.made: requirements-peers.lock
	@echo "Making $(PEERS) (3 GB to fetch)"
	@$(PYTHON) -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --require-hashes -r requirements-peers.lock
	@touch $@
