# `make help` lists the commands. CONTEXT=name IMAGE=reference run demo and end-to-end test in a
# cluster of your own; without them everything happens in a local cluster made for the purpose.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

SLUICE_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sluice
# The environment is keyed by what is installed into it, so a changed pin makes a new one.
VENV := $(SLUICE_CACHE)/venv-$(shell sha256sum < requirements-dev.txt | cut -c1-12)
PYTHON := $(VENV)/bin/python
export SLUICE_CACHE PYTHON
export PYTHONPATH := $(subst $() ,:,$(addprefix $(CURDIR)/,crds operator workers cli migrations talos dev benchmarks))
export PATH := $(VENV)/bin:$(PATH)

.PHONY: $(shell sed -nE 's/^([a-z-]+):.*\#\# .*/\1/p' $(MAKEFILE_LIST))

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

demo: venv ## run the main job on real parts, from nothing
	@$(PYTHON) -m sluice_dev.demo

test: venv ## set everything up, pass all checks and tests, clean up
	@dev/test

bench-fetcher: venv ## requests a second of the fetcher beside plain httpx and raw aiohttp
	@dev/testbed bench $(PYTHON) -m sluice_benchmarks.fetcher

bench-rate-limit: venv ## how much of a rate limit is used, and what one costs that is far away
	@dev/testbed bench $(PYTHON) -m sluice_benchmarks.rate_limit

bench-rebalance: venv ## how long items wait while fetchers come, go and die
	@dev/testbed bench $(PYTHON) -m sluice_benchmarks.rebalance

bench-writer: venv ## rows a second of the writer beside COPY from memory and Debezium's JDBC sink
	@$(PYTHON) -m sluice_dev.build bench-writer
	@dev/testbed bench $(PYTHON) -m sluice_benchmarks.writer

chaos: venv ## hurt writers, or fetchers by TARGET=fetch, and all they need: FAULTS=200 SEED=… QUICK=1
	@PYTHONPATH="$$PYTHONPATH:$(CURDIR)/tests" $(PYTHON) -m chaos

bench-messages: venv ## what compression costs and saves, for lone messages and for batches
	@dev/testbed bench $(PYTHON) -m sluice_benchmarks.messages

down: venv ## stop and remove every local cluster of this project, or the demo in that of CONTEXT
	@if [ -n "$(CONTEXT)" ]; then $(PYTHON) -m sluice_dev.demo remove; else dev/cluster down --all; fi

unit: venv ## the checks and tests that need no cluster
	@dev/check && $(PYTHON) -m pytest -q tests/unit

fuzz: venv ## nearly good answers against their parsers, SECONDS=60 for each of four targets
	@SLUICE_FUZZ_SECONDS=$(or $(SECONDS),60) $(PYTHON) -m pytest -q --timeout=0 tests/fuzz

lint: venv ## formatting, lint and types
	@dev/check

generate: venv ## write crds/ingestionjob.yaml from the models
	@$(PYTHON) -m sluice_api > crds/ingestionjob.yaml.new && mv crds/ingestionjob.yaml{.new,}

venv: $(VENV)/.complete ## make the Python environment, outside the work tree

$(VENV)/.complete:
	@dev/venv "$(VENV)"

python: venv ## print the environment's interpreter
	@echo $(PYTHON)
