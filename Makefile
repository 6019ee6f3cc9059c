# The front desk. `make help` lists what can be asked for.
PRESET ?= debug
JOBS ?= $(shell nproc)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: schemas
KAFKA ?= 4.4.0
schemas: ## Re-import the wire schemas of a Kafka release: make schemas KAFKA=4.4.0
	python3 broker/protocol/importer/import_schemas.py $(KAFKA)
