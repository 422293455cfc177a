# make          this help
# make demo     sample failures, alive, in the inspector (reports when there is no terminal)
# make test     the test suite; SIZE=full runs what is random or repeated as often as .ci/run does (a quarter of an hour)
# make check    format, lint, types
# make environments   what the tests of Airflow, arq, Prefect and SDKs for JavaScript need beside .venv (minutes); without it they are skipped
# make bench    every performance goal, beside plain sqlite3 and other queues (minutes; bench-large: 10,000,000 attempts)
# make soak     half an hour of kills, power cuts, failing disks, damage and bad input (SOAK_MINUTES=)
# make clean    remove what the others made

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
BENCH_READY := .venv/.bench-ready

SIZE ?= small
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)
SOAK_MINUTES ?= 30

.PHONY: help demo test check environments bench bench-large soak clean

help:
	@sed -n 's/^# \(make.*\)/\1/p' Makefile

# uv where it is there, venv and pip where not; made anew when what is asked for has changed.
$(READY): pyproject.toml requirements-dev.txt
	@echo "making .venv, once: about a minute" >&2
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --clear --python $(PYTHON) .venv && \
	  uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt && \
	  uv pip install --quiet --python $(BIN)/python --no-deps -e . ; \
	else \
	  $(PYTHON) -m venv --clear .venv && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e . ; \
	fi
	@touch $(READY)

# Libraries whose dependencies contradict those of .venv have an environment for each of these files.
ENVIRONMENTS := airflow arq prefect
.venv-%/.ready: requirements-%.txt
	@echo "making .venv-$*, once" >&2
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --clear --python $(PYTHON) .venv-$* && \
	  uv pip install --quiet --python .venv-$*/bin/python -r $< && \
	  uv pip install --quiet --python .venv-$*/bin/python --no-deps -e . ; \
	else \
	  $(PYTHON) -m venv --clear .venv-$* && \
	  .venv-$*/bin/python -m pip install --quiet --disable-pip-version-check -r $< && \
	  .venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e . ; \
	fi
	@touch $@

# The SDKs for JavaScript that the tests of the receiver run.
.venv-node/.ready: tests/serve/node/package-lock.json
	@if command -v npm >/dev/null 2>&1; then \
	  echo "making .venv-node, once" >&2 && mkdir -p .venv-node && cp tests/serve/node/package*.json .venv-node && \
	  npm ci --silent --ignore-scripts --prefix .venv-node && touch $@ ; \
	else \
	  echo "there is no npm: the tests of SDKs for JavaScript are skipped" >&2 ; \
	fi

environments: $(ENVIRONMENTS:%=.venv-%/.ready) .venv-node/.ready

# The queues that the benchmarks compare with.
$(BENCH_READY): $(READY) requirements-bench.txt
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python -r requirements-bench.txt ; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt ; \
	fi
	@touch $(BENCH_READY)

demo: $(READY)
	@$(BIN)/failaware demo

# Two processes more than cores, because many tests wait.
# Bytecode is kept even where PYTHONDONTWRITEBYTECODE is set: each of some hundred processes would compile everything.
test: $(READY)
	@PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(CURDIR)/.venv/pycache FAILAWARE_TESTS=$(SIZE) \
	  $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(BENCH_READY)
	@$(BIN)/python -m benchmarks

bench-large: $(BENCH_READY)
	@$(BIN)/python -m benchmarks --large

soak: $(READY)
	@$(BIN)/python -m tests.soak --minutes $(SOAK_MINUTES)

clean:
	rm -rf .venv .venv-* dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
