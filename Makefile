# monaka. `make help` lists what there is; logic longer than a line is in tools/.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help setup lib build demo test subjects modules model smith canary miri bench bless-perf size install lint clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: ## install what building and testing needs and this machine lacks
	@tools/setup --tests

lib: ## build libmonaka_vfs.a alone, into out/
	@tools/setup
	tools/build-lib out

build: ## build the command with the library in it: target/release/monaka
	@tools/setup
	$(CARGO) build --locked --release -p monaka

demo: build ## pack the C examples' directories into them and run them without any
	@tools/demo

test: ## all tests (CI=true: those that need node must run too)
	@tools/setup --tests
	tools/test

subjects: build ## also the tests on large modules of others, minutes each; SUBJECTS=name of one
	@tools/setup --tests
	@tools/test-subjects --include-ignored $(SUBJECTS)

modules: build ## measure what packing modules of others takes and makes of their start
	@tools/setup --tests
	@tools/test-subjects --ignored --nocapture --exact table::what_packing_real_modules_costs

model: build ## random operations on host, core and packed module for long; MODEL_LISTS=, MODEL_SEED=
	@tools/setup --tests
	tools/model

smith: build ## random modules before and after the file system is merged in; SMITH_COUNT=, SMITH_SEED=
	@tools/setup --tests
	tools/smith

canary: build ## plant bugs in a copy of the file system: the model test must find each
	@tools/setup --tests
	tools/canary

miri: ## the file system's tests under Miri (a nightly compiler, minutes)
	@tools/miri

bench: build ## measure what calls and packing cost; SUITES="NAME…" for some only
	@tools/setup --tests
	@tools/fetch large node
	$(CARGO) bench --locked -p monaka -p monaka-tests --features monaka-tests/engine --bench monaka -- $(SUITES)

bless-perf: build ## accept what calls cost and the library adds by now, in instructions and bytes
	@tools/setup --tests
	BLESS=1 $(CARGO) test --locked --release -p monaka -p monaka-tests --features monaka-tests/engine --test cost --test size
	BLESS=1 tools/instructions

size: build ## bytes the library adds to programs, beside wasi-vfs; BLESS=1 accepts them
	@tools/setup --tests
	@tools/size
	$(CARGO) test --locked --release -p monaka -p monaka-tests --features monaka-tests/engine --test size -- --nocapture

install: build ## command, library, header, pkg-config file, completions, manual; PREFIX=, DESTDIR=
	@tools/install "$(DESTDIR)" "$(PREFIX)"

lint: ## rustfmt, clippy, and shellcheck where it is installed
	@tools/lint

clean: ## remove what was built (.cache/ with what was fetched stays)
	rm -rf target out
