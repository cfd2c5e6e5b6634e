# make help lists what can be made. Everything but "generate" needs only Go.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Tools are built from the Go module proxy, at these versions, when first used.
GOLANGCI_LINT ?= go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOTESTSUM     ?= go run gotest.tools/gotestsum@v1.13.0
GOVULNCHECK   ?= go run golang.org/x/vuln/cmd/govulncheck@v1.1.4

PKG ?= ./...

# The race detector slows tests down several times: by default it watches what
# has goroutines of its own. RACE_PKG=./... takes all.
concurrent := store store/memstore store/etcdstore claim worker coordinator client internal/lease
RACE_PKG   ?= $(foreach dir,$(concurrent),$(if $(wildcard $(dir)/*_test.go),./$(dir)))

# How many workers the demo kills while they hold claims; SEED says when and whom.
KILL ?= 1
SEED ?= 1

# One part of the mutations or of the recorded workflows: SHARE=2/5 is the
# second fifth.
SHARE ?=

# Where the recorded workflows are, and with which seeds each is run.
GRAPNEL_WFINSTANCES       ?= $(wildcard $(abspath ../shared/wfinstances))
GRAPNEL_WFINSTANCES_SEEDS ?= 1,2,3
RESULTS                   := docs/results

##@ Everyday

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Check that the tools are here; installs nothing
	@scripts/setup

.PHONY: build
build: ## Build the commands into bin/
	go build -o bin/ ./cmd/...

.PHONY: demo
demo: ## Survey Go's standard library on four workers, kill one on the way (KILL=0, 1, 2 …)
	go build -o bin/demo ./examples/stdlib
	bin/demo -kill '$(KILL)' -seed '$(SEED)' -out .demo

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin .demo coverage.out

##@ Tests

.PHONY: test
test: ## Run all tests that need nothing but Go (PKG=./store/... for some)
ifdef CI
	$(GOTESTSUM) --format pkgname --hide-summary skipped -- $(PKG)
else
	go test $(PKG)
endif

.PHONY: race
race: ## Run tests under the race detector (RACE_PKG=./... for all)
	go test -race $(RACE_PKG)

.PHONY: mutations
mutations: ## Check that tests notice each guard that is switched off (SHARE=k/n, ONLY=names)
	go run ./internal/tools/mutations -share '$(SHARE)' -only '$(ONLY)'

.PHONY: wfinstances
wfinstances: ## Long: run each recorded workflow with three seeds, under faults; keeps the results
	@[ -d '$(GRAPNEL_WFINSTANCES)' ] || { echo 'GRAPNEL_WFINSTANCES names no folder of recorded workflows' >&2; exit 1; }
	@grep -qs 'func TestRecordedWorkflows(' integration/*_test.go || { echo 'integration has no TestRecordedWorkflows' >&2; exit 1; }
	@mkdir -p $(RESULTS)
	@rm -f $(RESULTS)/wfinstances.jsonl.new
	GRAPNEL_WFINSTANCES='$(GRAPNEL_WFINSTANCES)' \
	GRAPNEL_WFINSTANCES_SEEDS='$(GRAPNEL_WFINSTANCES_SEEDS)' \
	GRAPNEL_WFINSTANCES_SHARE='$(SHARE)' \
	GRAPNEL_WFINSTANCES_RESULTS='$(if $(SHARE),,$(abspath $(RESULTS)/wfinstances.jsonl.new))' \
	  go test -count=1 -timeout 3h -run '^TestRecordedWorkflows$$' -v ./integration
	@[ -n '$(SHARE)' ] || mv $(RESULTS)/wfinstances.jsonl.new $(RESULTS)/wfinstances.jsonl

.PHONY: kill50
kill50: ## Long: kill grapnel run and grapnel dev 50 times on their way; keeps the results
	@mkdir -p $(RESULTS)
	@rm -f $(RESULTS)/kill50.jsonl.new
	GRAPNEL_KILLS=50 GRAPNEL_KILL_RESULTS='$(abspath $(RESULTS)/kill50.jsonl.new)' \
	  go test -count=1 -timeout 1h -run '^TestAKilledRunGoesOnWhereItWas$$' -v ./cmd/grapnel
	mv $(RESULTS)/kill50.jsonl.new $(RESULTS)/kill50.jsonl

.PHONY: bench
bench: ## Measure the budgets of the design against raw etcd puts on this machine
	go run ./bench

##@ Checks

.PHONY: check
check: fmt-check tidy-check generate-check vet lint test ## All quick checks, as before a commit

.PHONY: fmt
fmt: ## Format all Go code
	@scripts/gofiles | xargs -0r gofmt -w

.PHONY: fmt-check
fmt-check: ## Fail if Go code is not formatted
	@bad=$$(scripts/gofiles | xargs -0r gofmt -l); \
	if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi

.PHONY: vet
vet: ## Run go vet, also with the tag "mutation"
	go vet ./...
	go vet -tags mutation ./...

.PHONY: lint
lint: ## Run golangci-lint as set in .golangci.yml
	$(GOLANGCI_LINT) run

.PHONY: vuln
vuln: ## Look for known vulnerabilities (needs vuln.go.dev)
	$(GOVULNCHECK) ./...

.PHONY: tidy-check
tidy-check: ## Fail if go.mod or go.sum is not tidy
	go mod tidy -diff

.PHONY: generate
generate: ## Make the protobuf code and docs/CLI.md anew (needs protoc)
	scripts/generate

.PHONY: generate-check
generate-check: ## Fail if the protobuf code or docs/CLI.md is not up to date
	scripts/generate --check

.PHONY: docs-check
docs-check: ## Check the commands and code in README, CONTRIBUTING and docs/
	go run ./internal/tools/docscheck

.PHONY: first-five
first-five: ## The same as a new reader: with an empty build cache
	go run ./internal/tools/docscheck -fresh
