# make demo | make test: everything else is made on the way.
.DELETE_ON_ERROR:
SHELL   := /bin/bash
PYTHON  ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
UV      := $(shell command -v uv 2>/dev/null)
export UV_PYTHON_DOWNLOADS = never
export UV_COMPILE_BYTECODE = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Five processes start in the demonstration: none of them has to compile what another one has.
export PYTHONDONTWRITEBYTECODE =

ifneq ($(UV),)
MKVENV  = $(UV) venv -q --clear --python $(PYTHON) $(VENV)
PIP     = $(UV) pip install -q --python $(BIN)/python
else
MKVENV  = $(PYTHON) -m venv --clear $(VENV)
PIP     = $(BIN)/python -m pip install -q
endif

.PHONY: demo test simulate powercut soak bench vectors lint check lock picture clean
demo: $(VENV)/.core
	$(BIN)/v2xnode demo

# One worker more than there are cores, for whoever plays the journeys mostly waits. make test WORKERS=0: in one process.
WORKERS ?= $(shell expr $(JOBS) + 1)
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS)

# Whole nodes on a clock that jumps: make simulate SEEDS=2000 [FROM=1] [JOBS=2]; TRACE=1 shows what happened.
SEEDS ?= 200
FROM  ?= 1
JOBS  ?= $(shell nproc 2>/dev/null || echo 1)
simulate: $(VENV)/.dev
	@TRACE=$(TRACE) $(BIN)/python -m tests.simulation.run $(FROM) $(SEEDS) $(JOBS)

# Power cuts and kill -9 beneath the ledger's own files: make powercut CUTS=1000 KILLS=300 [SEED=1] [JOBS=2]. The same
# cuts are made with synchronous=NORMAL, which must not survive them.
CUTS  ?= 1000
KILLS ?= 300
SEED  ?= 1
powercut: $(VENV)/.dev
	@$(BIN)/python -m tests.powercut.run $(SEED) $(CUTS) $(KILLS) $(JOBS)

# The long suites: some twenty minutes of simulated worlds, then a hundred kill -9 of real processes.
soak: $(VENV)/.dev
	@$(BIN)/python -m tests.simulation.run 1 6000 $(JOBS)
	V2XNODE_EVERY_COMMIT=1 $(BIN)/python -m pytest tests/simulation/test_every_commit.py --timeout=900
	V2XNODE_KILLS=100 $(BIN)/python -m pytest tests/journeys/test_kills.py tests/journeys/test_resume.py

# Figures beside others': all but the long ones, or make bench ONLY=times. Results as JSON in build/bench.
ONLY ?=
bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks $(ONLY)

# The files of tests/vectors, after the protocol has changed on purpose.
vectors: $(VENV)/.dev
	$(BIN)/python -m tests.spec.vectors

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] < (3,14))' || \
	  { echo "v2xnode needs Python 3.11 to 3.13: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(MKVENV)

# The order-only prerequisite keeps the interpreter's own mtime (a link's target) out of it.
$(VENV)/.core: requirements/core.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes -r requirements/core.txt
	$(PIP) --no-deps -e .
	@$(BIN)/python -m compileall -q v2xnode market ledger transports
	@touch $@

# py-libp2p is built here where no wheel fits. Where that fails the rest is tested all the same, and says so; in CI it
# is an error.
$(VENV)/.dev: requirements/dev.txt requirements/libp2p.txt $(VENV)/.core
	@$(PIP) --require-hashes -r requirements/libp2p.txt || { \
	  test -z "$$CI" && \
	  echo "*** py-libp2p can't be built here (it needs gcc, python3-dev and libgmp-dev): libp2p is left out ***" >&2 && \
	  $(PIP) --require-hashes -r requirements/dev.txt; }
	@touch $@

# The README's picture, from a real run.
picture: $(VENV)/.core
	$(BIN)/python docs/record_demo.py docs/demo.svg

# Pins and hashes only: no header, no index, no address of any host.
LOCK = $(UV) pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes \
       --no-emit-index-url --no-emit-find-links --no-annotate --no-header
lock:
	@test -n "$(UV)" || { echo "make lock needs uv" >&2; exit 1; }
	$(LOCK) --extra dev --extra postgres --extra print --extra virtual-ble --extra libp2p -o requirements/libp2p.txt $(LOCKFLAGS)
	$(LOCK) --extra dev --extra postgres --extra print --extra virtual-ble -c requirements/libp2p.txt -o requirements/dev.txt
	$(LOCK) -c requirements/libp2p.txt -o requirements/core.txt
	@! grep -nE '(https?|file|git\+[a-z]+)://' requirements/*.txt

clean:
	rm -rf $(VENV)
