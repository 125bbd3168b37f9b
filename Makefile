# `make help` lists the commands.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE ?= $(or $(SLUICE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sluice)
export SLUICE_CACHE := $(CACHE)
# The environment is keyed by what is installed into it, so a changed pin makes a new one.
VENV := $(CACHE)/venv-$(shell cat requirements.txt requirements-dev.txt 2>/dev/null | sha256sum | cut -c1-12)
PYTHON := $(VENV)/bin/python
export PYTHONPATH := $(CURDIR)/crds:$(CURDIR)/operator:$(CURDIR)/workers:$(CURDIR)/cli:$(CURDIR)/migrations:$(CURDIR)/dev

.PHONY: help venv python

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

venv: $(VENV)/.complete ## make the Python environment (outside the work tree)

$(VENV)/.complete:
	@dev/venv "$(VENV)"

python: venv ## print the environment's interpreter
	@echo $(PYTHON)
