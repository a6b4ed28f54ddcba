# The front door. `make demo` and `make test` work on a bare Debian 12 or Ubuntu 24.04.
.PHONY: demo build test bench parity sanitize fuzz format check-format tidy install deps clean
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60

# Trains a small GPT for about a minute and lets it write. TEXT=path uses your own file or folder.
demo: build
	$(BUILD)/qkv demo $(if $(TEXT),"$(TEXT)")

build: deps
	cmake -S . -B $(BUILD) -G Ninja $(if $(wildcard $(BUILD)/build.ninja),,-DCMAKE_BUILD_TYPE=Release) > /dev/null
	cmake --build $(BUILD) -j $(JOBS)

test: build
	scripts/run-tests $(BUILD)

bench: build
	scripts/with-python bench/run $(BUILD)/qkv

parity: build
	scripts/with-python tests/parity/run $(BUILD)/qkv

sanitize: deps
	scripts/sanitize

fuzz:
	scripts/fuzz $(FUZZ_SECONDS)

format:
	scripts/format

check-format:
	scripts/format --check

tidy: build
	scripts/tidy $(BUILD)

install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

deps:
	@scripts/install-deps

clean:
	rm -rf build build-asan build-tsan build-fuzz
