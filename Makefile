# Tasks of this repository. `make test` must pass before a change is merged.

STAGE := @scripts/stage

.PHONY: help
help:
	@echo "make test   install Redis, PostgreSQL and MariaDB, then check and test everything"
	@echo "make check  formatting, words, lints, features, documentation and the book, without tests"
	@echo "make setup  install servers, Chromium, promtool, rustfmt and clippy where missing"
	@echo "make soak   run real processes under faults for MINUTES (10), and report"
	@echo "make benchmarks   measure again and rewrite docs/benchmarks/"
	@echo "make deny   check licences, advisories and bans of the dependencies"

.PHONY: setup
setup:
	$(STAGE) "setup" scripts/setup

.PHONY: check
check: setup
	$(STAGE) "formatting" cargo fmt --all --check
	$(STAGE) "words" scripts/words
	$(STAGE) "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
	$(STAGE) "features" scripts/check-features
	$(STAGE) "minimum versions" scripts/check-minimum-versions
	$(STAGE) "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --features aside-sqlx/mysql,aside-sea-orm/postgres --no-deps --locked
	$(STAGE) "book" scripts/book

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
