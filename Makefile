# What one does with this repository. `make test` is what has to pass.

STAGE := @scripts/stage

.PHONY: help
help:
	@echo "make test   install what the tests need, then check and test everything"
	@echo "make check  formatting, lints and documentation, without tests"
	@echo "make setup  install Redis, PostgreSQL, rustfmt and clippy where missing"
	@echo "make soak   put real processes to faults for MINUTES (10), and report"
	@echo "make benchmarks   measure everything again into docs/benchmarks/"
	@echo "make deny   licences, advisories and bans of the dependencies"

.PHONY: setup
setup:
	$(STAGE) "setup" scripts/setup

.PHONY: check
check: setup
	$(STAGE) "formatting" cargo fmt --all --check
	$(STAGE) "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
	$(STAGE) "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

.PHONY: test
test: check
	$(STAGE) "doctests" cargo test --workspace --doc --locked
	$(STAGE) "tests" scripts/run-tests

MINUTES ?= 10

.PHONY: soak
soak: setup
	$(STAGE) "soak" scripts/soak $(MINUTES)

.PHONY: benchmarks
benchmarks: setup
	$(STAGE) "benchmarks" scripts/benchmarks

.PHONY: deny
deny:
	$(STAGE) "dependencies" scripts/check-dependencies
