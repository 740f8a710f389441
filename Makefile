# Everything a person or CI does with this project. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help run test soak check bench clients screenshots example-email-sender example-analytics example-element openapi lock format clean schema

PYTHON ?= python3
BIN    := .venv/bin
# An activated environment or a PYTHONPATH of the caller must not leak into ours. Without files of bytecode each of the hundreds of
# processes that the tests start would compile all modules anew.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

run: .venv/.installed ## set up and serve on http://127.0.0.1:8000 (PORT, DATA_DIR and the other settings are honoured)
	@exec $(BIN)/preferences serve

# Four processes also on two cores: half of what a test does is to wait for processes that start, and for time limits. A file stays in one
# process, which starts the file's servers and fills its databases once. Files come in the order of tests/conftest.py, slow ones first.
test: .venv/.installed-dev ## set up and run every test, with coverage
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder --cov --cov-report=term $(PYTEST_ARGS)

soak: .venv/.installed-dev ## the long forms of the tests that repeat something, e.g. a hundred kills (before a release; about an hour)
	SOAK=1 $(BIN)/python -m pytest -m soak -n 2 --dist worksteal $(PYTEST_ARGS)

TSC := tests/clients/node_modules/.bin/tsc

check: .venv/.installed-dev ## formatting, lint, types, and the dependency contracts of the house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@if command -v node > /dev/null && [ -x $(TSC) ]; then \
		node $(TSC) --project tests/clients/pages.tsconfig.json && echo "The pages' JavaScript has no wrong types."; \
	else echo "The pages' JavaScript was not checked: that needs Node, and TypeScript from \`make clients\`."; fi

bench: .venv/.installed-dev ## measure against the contenders; writes bench/results.md
	$(BIN)/python -m bench $(BENCH_ARGS)

example-email-sender: .venv/.installed ## beside `make run`: an e-mail sender that decides from a replica of its own
	@SERVICE_URL=$${SERVICE_URL-http://127.0.0.1:$${PORT:-8000}} exec $(BIN)/python -m examples.email_sender follow $(EXAMPLE_ARGS)

example-analytics: .venv/.installed-dev ## three questions to the whole log, answered and drawn
	@exec $(BIN)/python -m examples.analytics $(EXAMPLE_ARGS)

example-element: .venv/.installed ## beside `make run`: the settings panel in plain HTML, React and Vue (needs `make clients`)
	@exec $(BIN)/python -m examples.preferences_element

openapi: .venv/.installed-dev ## renew the golden copy of the API's description
	$(BIN)/preferences openapi > tests/golden/openapi.json

clients: ## install the linters and generators that tests/clients tries the API's description with (npm)
	npm ci --prefix tests/clients --ignore-scripts --no-audit --no-fund

screenshots: .venv/.installed-dev ## take the pictures of the pages in docs/images anew (needs Debian's chromium-headless-shell)
	$(BIN)/python -m tests.support.screenshots

schema: .venv/.installed-dev ## renew the copy of the schema that a database is held to, after a new migration
	$(BIN)/python -m tests.support.golden_schema > infrastructure/postgres/schema.tsv.new && mv infrastructure/postgres/schema.tsv.new infrastructure/postgres/schema.tsv

lock: .venv/.installed-dev ## compile the hash-pinned requirements from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' pyproject.toml --group build -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' pyproject.toml --group build --group dev -c requirements.txt -o requirements-dev.txt

format: .venv/.installed-dev ## put the code into the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the environment and the caches, never the data
	rm -rf .venv .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	@echo "creating .venv"; $(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: requirements.txt pyproject.toml .venv/.created
	@echo "installing the service"; $(PIP_INSTALL) -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	@echo "installing what tests and checks need"; $(PIP_INSTALL) -r requirements-dev.txt
	@touch $@
