# The front door. `make demo` and `make test` work on a bare Debian 12 or Ubuntu 24.04.
.PHONY: demo program build configure test test-cuda bench parity page sanitize fuzz format check-format tidy install deps clean
# CUDA=1 builds for NVIDIA's GPUs too; CUDA=emulated the same kernels for tests on a machine without one.
# With CUDA=1, CUDA_ARCH=90a is machine code for one compute capability alone, which is built sooner.
CUDA ?=
CUDA_ARCH ?=
BUILD ?= build$(if $(CUDA),-$(patsubst 1,cuda,$(CUDA)))
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
STRINGS ?= 10000
comma := ,

# Trains a small GPT for about a minute and lets it write. TEXT=path uses your own file or folder.
demo: program
	$(BUILD)/qkv demo $(if $(TEXT),"$(TEXT)")

# The program and the library; `build` makes the tests too.
program: configure
	cmake --build $(BUILD) -j $(JOBS) --target qkv_program

build: configure
	cmake --build $(BUILD) -j $(JOBS)

configure: deps
	@cmake -S . -B $(BUILD) -G Ninja $(if $(wildcard $(BUILD)/build.ninja),,-DCMAKE_BUILD_TYPE=Release) \
	  $(if $(CUDA),-DQKV_CUDA=$(if $(filter 1,$(CUDA)),ON,EMULATED)) \
	  $(if $(CUDA_ARCH),-DQKV_CUDA_CODE="-gencode=arch=compute_$(CUDA_ARCH)$(comma)code=sm_$(CUDA_ARCH)") > /dev/null

test: build
	scripts/run-tests $(BUILD)

# The CUDA kernels, and what stands on them, on an emulated device whose memory the host cannot touch.
test-cuda: deps
	scripts/test-emulated

bench: program
	scripts/with-python bench/run $(BUILD)/qkv

parity: build
	scripts/with-python tests/parity/run $(BUILD)/qkv --strings $(STRINGS)

# The page of `qkv serve`, in a browser without a screen.
page: program
	scripts/install-deps --browser
	scripts/with-python tests/page/run $(BUILD)/qkv

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

install: program
	cmake --install $(BUILD) --prefix $(PREFIX)

deps:
	@scripts/install-deps $(if $(filter 1,$(CUDA)),--cuda)

clean:
	rm -rf build build-asan build-tsan build-fuzz build-cuda build-emulated
