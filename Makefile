# Two commands matter: `make demo` and `make test`. Both say what they install. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup components demo demo-stop pictures test long check bench fmt doc

# Outside the tree, so that removing the clone or the demonstration keeps twelve minutes of RocksDB compilation.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/careweave/target
export CAREWEAVE_DEMO ?= .demo

# clang and libclang read RocksDB's headers, cmake and pkg-config build and find C libraries, openssl is the second opinion that the
# certificate tests ask, softhsm2 the token in which they put keys, faketime moves the clocks of nodes while they run. Each is looked for
# by the program or package that is needed, not by how it got there.
PACKAGES := clang libclang-dev cmake pkg-config openssl softhsm2 faketime

help:
	@printf '%s\n' \
	  'make demo       install what is missing, build, start a network of eleven nodes on this machine, load it, run its story' \
	  'make demo-stop  end that network' \
	  'make pictures   pictures of the printable view, in pictures/; the network of the demonstration must run' \
	  'make test       every check: form, lints, documentation, tests' \
	  'make long       the behaviour tests in their long forms: about an hour' \
  'make check      the quick ones: form, lints, unit tests' \
	  'make bench      measure (release build)' \
	  'make setup      only install what is missing' \
	  'make fmt        format the sources' \
	  'make doc        the reference of all crates as HTML' \
	  '' \
	  'CARGO_TARGET_DIR ($(CARGO_TARGET_DIR)) holds what is built, CAREWEAVE_DEMO ($(CAREWEAVE_DEMO)) the demonstration.'

setup:
	@command -v cargo >/dev/null || { echo 'setup: cargo is missing; install the Rust toolchain first' >&2; exit 1; }; \
	missing=''; \
	for package in $(PACKAGES); do \
	  case $$package in \
	    libclang-dev) dpkg -s libclang-dev >/dev/null 2>&1 || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null \
	      || ldconfig -p 2>/dev/null | grep 'libclang[-0-9.]*so' >/dev/null || missing="$$missing $$package" ;; \
	    softhsm2) command -v softhsm2-util >/dev/null || missing="$$missing $$package" ;; \
	    pdftoppm) command -v pdftoppm >/dev/null || missing="$$missing poppler-utils" ;; \
	    *) command -v $$package >/dev/null || missing="$$missing $$package" ;; \
	  esac; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "setup: missing:$$missing" >&2; \
	  echo 'setup: there is no apt here; install them with the package manager of this system, then run make again' >&2; \
	  exit 1; \
	fi; \
	as_root=''; \
	if [ "$$(id -u)" -ne 0 ]; then \
	  command -v sudo >/dev/null || { echo "setup: missing:$$missing; neither root nor sudo to install them" >&2; exit 1; }; \
	  as_root='sudo'; \
	fi; \
	echo "setup: installing with apt:$$missing"; \
	$$as_root apt-get update -qq && $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing

# Parts of the toolchain that a minimal installation leaves out.
components:
	@for component in fmt clippy; do \
	  cargo $$component --version >/dev/null 2>&1 && continue; \
	  name=$${component/fmt/rustfmt}; \
	  command -v rustup >/dev/null || { echo "components: $$name is missing, and there is no rustup to add it" >&2; exit 1; }; \
	  echo "components: adding $$name with rustup"; \
	  rustup component add $$name; \
	done

# The same profile and packages as the tests use: with any other choice of either, RocksDB would be compiled a second time.
demo: setup
	cargo build --workspace --bins
	"$$CARGO_TARGET_DIR/debug/careweave-demo" run

demo-stop:
	@if [ -x "$$CARGO_TARGET_DIR/debug/careweave-demo" ]; then "$$CARGO_TARGET_DIR/debug/careweave-demo" stop; \
	else echo 'demo-stop: the demonstration was never built here, so nothing runs'; fi

# For the eye, not for `make test`: chromium is large.
pictures: PACKAGES := chromium pdftoppm
pictures: setup
	tests/pictures.sh pictures

# Cheap checks first; the tests last, so that their summary is what stands at the end. One process per test binary, so not
# nextest: the behaviour tests that only read share one running network.
test: setup components
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps
	@if command -v cargo-deny >/dev/null; then echo 'cargo deny check'; cargo deny check; \
	else echo 'test: cargo-deny is not installed: advisories and licences are not checked; minimum versions are, by tidy'; fi
	cargo test --workspace --doc
	cargo build --workspace --bins
	cargo test --workspace --lib --bins --tests

check: setup components
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --workspace --lib

bench: setup
	cargo build --release --workspace --bins
	cargo bench --workspace --bench exchange

fmt: components
	cargo fmt --all

# Fifty queries a second through every rotation, two hundred suspensions, twenty kills: what `make test` does in small.
long: setup
	cargo build --workspace --bins
	CAREWEAVE_LONG=1 cargo test -p careweave-tests --test behaviour

doc: setup
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps
	@echo "doc: $$CARGO_TARGET_DIR/doc/careweave_protocol/index.html"
