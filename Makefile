# `make` alone lists what there is to make.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash -o pipefail

# A Python of 3.11 or newer. Another one: make PYTHON=python3.13 test
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# Further interpreters that the one wheel is tested on, where they are found.
OTHERS ?= 3.12 3.13
VENV := .venv
BIN := $(VENV)/bin
CARGO := $(shell command -v cargo 2>/dev/null)
OLDEST_RUST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

RUST := $(shell find crates -type f) Cargo.toml Cargo.lock
PYTHON_SOURCES := $(shell find python -name '*.py' -o -name '*.pyi')

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

.PHONY: needs
needs:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed and was not found; install it, or name it: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: $(PYTHON) has no venv module; install it (Debian: apt install python3-venv)"; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || { echo "make: a C++ compiler is needed for Luau and was not found; install g++ or clang"; exit 1; }
	@test -z "$(CARGO)" || { have=$$(rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p'); \
		test "$$(printf '%s\n' $(OLDEST_RUST) "$$have" | sort -V | head -n 1)" = $(OLDEST_RUST) || \
		{ echo "make: Rust $(OLDEST_RUST) or newer is needed and rustc on PATH is $${have:-none}; run rustup update, or take cargo off PATH: the build then fetches a toolchain"; exit 1; }; }

$(BIN)/.ready: requirements-dev.txt | needs
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# With cargo the wheel is built by the pinned maturin; without it pip has the build back-end fetch a toolchain.
dist/.built: $(RUST) $(PYTHON_SOURCES) pyproject.toml README.md LICENSE | $(BIN)/.ready
	@rm -rf dist && mkdir dist
	$(if $(CARGO),$(BIN)/maturin build --release --locked --quiet --out dist --interpreter $(BIN)/python,$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .)
	@touch $@

$(BIN)/.installed: dist/.built
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps dist/*.whl
	@touch $@

.PHONY: build
build: $(BIN)/.installed ## build the wheel and install it into .venv

.PHONY: demo
demo: build ## run the two scripts of the class' documentation, then the same in Python
	$(BIN)/python scripts/demo.py

.PHONY: test
test: build ## build, lint and test everything, on each Python that is found
	PATH="$(abspath $(BIN)):$$PATH" OTHERS="$(OTHERS)" scripts/test.sh

.PHONY: lint
lint: build ## formatters, clippy, ruff, mypy, stubtest
	PATH="$(abspath $(BIN)):$$PATH" scripts/lint.sh

.PHONY: format
format: $(BIN)/.ready ## format the Rust and Python sources
	cargo fmt
	$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet .

.PHONY: bench
bench: build ## compare with other clients, installed beside (BENCH="--help" lists options); see bench/README.md
	$(BIN)/python -m bench $(BENCH)

.PHONY: coverage
coverage: build ## what the tests run of the Python package and of wire (also part of test)
	PATH="$(abspath $(BIN)):$$PATH" scripts/coverage.sh

.PHONY: fuzz
fuzz: SECONDS ?= 60
fuzz: ## replay the corpus and fuzz each target for SECONDS (default 60)
	SECONDS_EACH=$(SECONDS) scripts/fuzz.sh

.PHONY: model
model: ROUNDS ?= 20000
model: ## check the reactor's hand-overs over ROUNDS orders of steps for each scenario, and that seeded bugs are found
	ROUNDS=$(ROUNDS) $(PYTHON) scripts/model.py

.PHONY: stress
stress: SECONDS ?= 60
stress: build ## threads, tasks and a script at random for SECONDS each (SEED= repeats)
	SECONDS=$(SECONDS) $(BIN)/python -m pytest -q -s tests/stress

.PHONY: soak
soak: MINUTES ?= 10
soak: build ## 500 sockets against a server that injects faults, also through toxiproxy (Go), for MINUTES
	PYTHONPATH=. $(BIN)/python scripts/soak.py --minutes $(MINUTES)

.PHONY: torrent
torrent: build ## 100 000 messages over wss from threads, tasks and a script
	$(BIN)/python scripts/torrent.py

.PHONY: autobahn
autobahn: build ## the Autobahn test suite, all cases on both languages (AUTOBAHN="--help" lists options); needs Python 2.7
	$(BIN)/python compliance/autobahn/run.py $(AUTOBAHN)

.PHONY: attacks
attacks: build ## attack programs with hostile servers and write the table of outcomes, docs/attacks.md
	$(BIN)/python -m pytest -q -n $$((2 * $$(nproc))) --dist worksteal tests/attacks --attack-table docs/attacks.md

.PHONY: interop
interop: build ## the Python client against a dozen servers that others wrote (INTEROP="--help" lists options); see compliance/interop
	$(BIN)/python compliance/interop/run.py $(INTEROP)

.PHONY: clean
clean: ## remove everything that was built
	rm -rf $(VENV) .venv-* dist target .pytest_cache .mypy_cache .ruff_cache
