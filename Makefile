# The same verbs as CI. `make setup` first; everything else runs in the environment it made.
RUN := uv run --no-sync
export PATH := $(PATH):$(HOME)/.local/bin
FILES ?=
OUT ?= out/demo

.PHONY: setup lint types test demo build bench

setup:
	bash infra/setup/setup.sh

lint:
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) lint-imports
	uv lock --check
	uv pip check

types:
	$(RUN) mypy shared/*/src packages/*/src verticals/*/src

test:
	OMP_NUM_THREADS=1 $(RUN) pytest -n 2 --dist loadgroup

build:
	uv build --all-packages --wheel --out-dir dist
	rm -f dist/doyen_testkit-*.whl

bench:
	$(RUN) doyen bench legal

demo: setup
	$(RUN) doyen base pull
	$(RUN) doyen legal demo --out $(OUT) $(FILES)
