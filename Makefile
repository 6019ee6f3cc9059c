# The front desk. `make help` lists what can be asked for.
PRESET ?= release
JOBS ?= $(shell nproc)
BUILD := build/$(PRESET)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: deps
deps: ## Install what is missing from Debian's packages
	@tools/deps.sh

.PHONY: configure
configure: deps
	@cmake --preset $(PRESET) >/dev/null

.PHONY: build
build: configure ## Build the programs into build/release/bin
	@ninja -C $(BUILD) -j $(JOBS) programs

.PHONY: all
all: configure ## Build everything, tests and benchmarks included
	@ninja -C $(BUILD) -j $(JOBS)

.PHONY: test
test: all ## Build and run the tests
	@cd $(BUILD) && ctest --output-on-failure -j $$(($(JOBS) * 2))

.PHONY: run
run: build ## Build and start a cluster of three brokers, and say how to try it
	@tools/run.sh

.PHONY: check
check: deps ## Hold the sources against the second compiler; check rooms and headers
	@tools/check.sh

.PHONY: fmt
fmt: deps ## Format the code
	@git ls-files '*.h' '*.cc' | xargs clang-format-19 -i

.PHONY: sim
sim: configure ## Simulate a few minutes, or as asked: make sim [SEED=7] [SEEDS=1000] [SCENARIO=register] [BUG=small_quorum] [TRACE=1]
	@ninja -C $(BUILD) -j $(JOBS) sim_runner
ifeq ($(SEED)$(SEEDS)$(SCENARIO)$(BUG),)
	@MIX="promises:100:twice echo:300:twice register:600:twice mirror:60 cluster:100 moved:60 wiped:60 links:20" \
	  tests/sim/mixture.sh $(BUILD)/bin/sim_runner $(JOBS)
else
	@$(BUILD)/bin/sim_runner $(if $(SEED),--seed $(SEED)) \
	  $(if $(SEEDS),--seeds $(SEEDS)) --processes $(JOBS) $(if $(BUG),--bug $(BUG)) \
	  $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(TRACE),--trace,--shrink) || \
	  { status=$$?; echo "at commit $$(git describe --always --dirty)"; exit $$status; }
endif

.PHONY: sim-mixture
sim-mixture: configure ## Simulate 1,800 seeds over all scenarios, with their ledger rows
	@ninja -C $(BUILD) -j $(JOBS) sim_runner
	@tests/sim/mixture.sh $(BUILD)/bin/sim_runner $(JOBS)

.PHONY: e2e
e2e: build ## Run programs that others wrote against it: make e2e S=clients [ONLY=franz-go] [ARGS=--short]
	@MILLRACE_BROKER=$(CURDIR)/$(BUILD)/bin/millrace-broker ONLY="$(ONLY)" e2e/run.sh $(S) $(ARGS)

.PHONY: fuzz
fuzz: deps ## Run every fuzz target for a while: make fuzz [SECONDS_EACH=30]
	@tests/fuzz/run.sh $${SECONDS_EACH:-30}

.PHONY: bench
bench: all ## Measure one broker beside Apache Kafka, both durabilities, some 20 minutes: make bench [ONLY="128 KB"] [ARGS="--mode synced"]
	@e2e/bench/run.sh $(if $(ONLY),--only "$(ONLY)") $(ARGS)

.PHONY: microbench
microbench: all ## Run the benchmarks of the rooms
	@for b in $(BUILD)/bin/bench_*; do echo "== $$b"; $$b --benchmark_min_time=0.2 || exit 1; done

.PHONY: image
image: build ## The programs as an OCI image: build/image/*.tar, no registry needed
	@tools/image.sh

.PHONY: nightly
nightly: deps ## The long runs, resumable; figures go to LEDGER.md
	@tools/nightly.sh $(SLICE)

.PHONY: schemas
schemas: ## Import the message definitions of a Kafka release, by Maven: make schemas KAFKA=4.4.0
	@python3 broker/protocol/importer/import_schemas.py $(KAFKA)
	@git --no-pager diff --stat -- broker/protocol/schemas

.PHONY: clean
clean: ## Remove the build tree
	@rm -rf build
