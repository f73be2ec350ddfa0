# make run brings the appliance up, make test runs the tests; each sets up what it needs first.
.PHONY: help run setup test check bench lock

help:
	@echo "make run     the appliance, live on http://localhost:8080/"
	@echo "make test    all tests"
	@echo "make check   ruff, mypy and the rules of the house"
	@echo "make bench   the numbers of receiver and store"
	@echo "make setup   only what the others need: .venv, packages of the tests"
	@echo "make lock    newest versions into the lock files"

run:
	@./setup.sh run
	@.venv/bin/appliance run

setup:
	@./setup.sh test

test:
	@./setup.sh test
	.venv/bin/python -m pytest -n auto --dist worksteal

check:
	@./setup.sh check
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/python -m pytest -q tests/test_imports.py

bench:
	@./setup.sh check
	.venv/bin/python -m benchmarks

# For every platform at once, with the hashes of all their wheels. setuptools builds the package itself.
COMPILE = echo 'setuptools>=77' | UV_CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/uv pip compile --quiet --upgrade \
	--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate pyproject.toml -
lock:
	@./setup.sh check
	.venv/bin/python -m pip install --quiet uv
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock
