# demo: the main job on this machine, against a sink of our own.  test: the whole suite.
# test-fast: the tests that need no program of others and are quick; property tests try few examples.
# check: what a change must pass besides.  bench: the numbers of the README.
# crash-test: kill runs that have a journal, 200 times or as often as KILLS says; SEED repeats the choices of a run.
# soak: RUNS fault schedules (500) by SEED, and KILLS killed runs (500).
# fuzz: mutate the input of each target RUNS times (100000), guided by coverage; TARGET names some of them.
# sbom: the packages that asyncstore needs at run time, as sbom.json (CycloneDX).
# lock: make requirements/lock.txt anew, with the newest versions that pyproject.toml allows.

PYTHON ?= python3
BIN := .venv/bin
# Processes for the whole suite: most of its tests wait for peers and timeouts, so there are more than cores.
WORKERS ?= $(shell $(PYTHON) -c 'import os; cores = os.cpu_count() or 1; print(cores + (4 if cores > 3 else 3))')
# Without .pyc files each worker would compile all tests, and each command all modules that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast crash-test soak fuzz check bench lock sbom clean

demo: .venv/installed
	$(BIN)/asyncstore demo

test: .venv/installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-fast: .venv/installed
	$(BIN)/python -m pytest -m 'not peers and not slow' --hypothesis-profile quick -n auto --dist worksteal

crash-test: .venv/installed
	PYTHONPATH=tests $(BIN)/python -m support.crashes --kills $(or $(KILLS),200) $(if $(SEED),--seed $(SEED))

soak: .venv/installed
	PYTHONPATH=tests $(BIN)/python -m support.soak --runs $(or $(RUNS),500) --kills $(or $(KILLS),500) $(if $(SEED),--seed $(SEED))

fuzz: .venv/installed
	$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-build-isolation -e '.[fuzz]'
	PYTHONPATH=tests $(BIN)/python -m fuzz $(TARGET) --runs $(or $(RUNS),100000)

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed
	$(BIN)/python -m benchmarks

lock:
	$(PYTHON) -m venv .lock
	.lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	.lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate \
		--custom-compile-command 'make lock' \
		--extra build --extra metrics --extra report --extra codecs --extra archives --extra remote --extra test --extra check \
		--output-file requirements/lock.txt pyproject.toml
	rm -rf .lock

# pip is not in the environment that is described; its packages have the versions of requirements/lock.txt.
sbom:
	rm -rf .sbom
	$(PYTHON) -m venv .sbom/tool
	$(PYTHON) -m venv --without-pip .sbom/environment
	sed -n 's/ *\\$$//; /^[a-z].*==/p' requirements/lock.txt > .sbom/constraints.txt
	.sbom/tool/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom
	.sbom/tool/bin/python -m pip --python .sbom/environment/bin/python install --quiet --disable-pip-version-check \
		--constraint .sbom/constraints.txt .
	sed "s/^dynamic = .*/version = $$(sed -n 's/^__version__ = //p' asyncstore/version.py)/" pyproject.toml > .sbom/pyproject.toml
	.sbom/tool/bin/cyclonedx-py environment --pyproject .sbom/pyproject.toml --mc-type application --output-reproducible \
		--validate --output-format JSON --output-file sbom.json .sbom/environment/bin/python
	rm -rf .sbom

clean:
	rm -rf .venv .lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .fuzz .sbom sbom.json

.venv/installed: pyproject.toml requirements/lock.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
