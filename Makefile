# The front desk. `make help` lists what can be asked for.
PRESET ?= debug
JOBS ?= $(shell nproc)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 14
