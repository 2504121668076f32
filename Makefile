# Fourfold: two commands do everything. `make demo` runs the main job, `make check` passes the tests; both set up what is missing.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

BUILD ?= build
# A compile job of MLIR code takes up to 1.5 GB: as many as cores and memory allow.
JOBS ?= $(shell tools/build-jobs)
PREFIX ?= /usr/local

.PHONY: help setup build demo check check-fast check-sanitize bench gpu-bundle wheel install format generated clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup:
	@tools/install-deps

build: setup ## build everything into build/
	@test -f $(BUILD)/build.ninja || cmake -S . -B $(BUILD) -G Ninja > $(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log
	@ninja -C $(BUILD) -j$(JOBS)

demo: build ## run the main job: train a small GPT in bf16, nvfp4 and averis, on the emulated device
	@tools/demo --build $(BUILD)

check: build ## build and pass all tests
	@tools/check-style
	@tools/run-tests $(BUILD)

check-fast: build ## all but the slowest tests
	@tools/check-style
	@tools/run-tests $(BUILD) -LE slow

check-sanitize: setup ## all tests under AddressSanitizer and UndefinedBehaviorSanitizer, in build/sanitize
	@cmake -S . -B $(BUILD)/sanitize -G Ninja -DFOURFOLD_SANITIZE=ON -DFOURFOLD_WERROR=OFF \
	  -DCMAKE_CXX_FLAGS_RELEASE='-O1 -DNDEBUG' > /dev/null # with sanitizers the optimizer takes longer than it saves
	@ninja -C $(BUILD)/sanitize -j$(JOBS)
	@tools/run-tests $(BUILD)/sanitize --timeout 7200

bench: build ## benchmarks, one line a measurement
	@$(BUILD)/bin/fourfold-bench

install: build ## install into PREFIX (/usr/local)
	@cmake --install $(BUILD) --prefix $(PREFIX)

generated: build ## write generated/ anew with the compiler
	@tools/generate --build $(BUILD)

gpu-bundle: build ## pack the tools that tools/gpu-check needs on a machine with a GPU
	@tools/gpu-bundle --build $(BUILD)

wheel: build ## pack the Python package, with library, compiler and recipes, into build/wheel
	@tools/wheel --build $(BUILD)

format: ## format the sources
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i

clean: ## remove build/
	@rm -rf $(BUILD)
