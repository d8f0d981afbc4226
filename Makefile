# `make help` lists what a developer does here.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X github.com/goldsmith-build/goldsmith/internal/version.Version=$(VERSION) -X github.com/goldsmith-build/goldsmith/toe/cli.Version=$(VERSION)
GOFLAGS_BUILD := -buildvcs=false -trimpath -ldflags '$(LDFLAGS)'
export CGO_ENABLED := 0
export PATH := $(PATH):$(CURDIR)/.venv/bin
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 20s

.DEFAULT_GOAL := help
.PHONY: help build demo test lint generate platforms verify bench sim e2e fault fuzz clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/goldsmith and bin/toe, static
	@script/setup go
	go build $(GOFLAGS_BUILD) -o bin/ ./cmd/goldsmith ./cmd/toe

demo: ## the whole way from stock AWS CLI calls to a booted image in two regions
	@script/setup run client
	@$(MAKE) --no-print-directory build
	@script/demo

test: ## all tests, unit to black box
	@script/setup test
	@$(MAKE) --no-print-directory build
	@script/test

e2e: ## only the black-box suites with real clients and real builds
	@script/setup test
	@$(MAKE) --no-print-directory build
	@script/test ./test/...

lint: ## formatting, vet, staticcheck, shell scripts
	@script/setup lint
	@test -z "$$(gofmt -l cmd internal toe api test)" || { gofmt -d cmd internal toe api test; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	shellcheck $$(git grep -lE '^#!.*[/ ](ba)?sh$$' -- ':!*/testdata/*')

generate: ## make the API's shapes and docs/conformance.md anew
	@script/setup go client
	@script/generate

platforms: ## bin/toe for every platform is at most 16 MiB (several minutes)
	@script/setup go
	TOE_PLATFORMS=all go test -count=1 -v -run TestSize ./cmd/toe

verify: ## check that generated files are what the generator makes
	@script/setup go client
	@script/generate --check

bench: ## the figures of docs/benchmarks.md, side by side in one run
	@script/setup test bench
	@$(MAKE) --no-print-directory build
	@script/bench

fault: ## every fault of the fault suite, and the figures of docs/faults.md (about an hour)
	@script/setup test
	@$(MAKE) --no-print-directory build
	@script/test -count=1 -timeout 180m ./test/fault -full -report "$(CURDIR)/docs/faults.md"

sim: ## 100,000 pipelines, 1,000 builds at once, processes that are killed; schedules against the oracle (an hour)
	@script/setup test
	GOLDSMITH_WINDOWS=1000 go test -count=1 -timeout 60m -run Oracle ./internal/schedule
	go run ./test/simulation $(SIM)

fuzz: ## every fuzz target for FUZZTIME (20s)
	@script/fuzz $(FUZZTIME)

clean: ## remove what make made
	rm -rf bin .venv .cache
