# `make demo` shows the whole thing on a replica of PyPI; `make test` runs the tests. Both set up .venv.

PYTHON ?= python3
VENV := .venv
SEED ?= 1
BIN := $(VENV)/bin

# Neither .env nor service variables of the caller may reach the demo or the tests.
CLEAN = env $$(env | sed -nE 's/^((TYPESENSE|IMPORT|PYPI|PYPISTATS|PYF|GITHUB|REDIS|RENDER|INDEX|RSS|RUNS|STALE|STATUS|CLICKPY|DOWNLOADS|SCRAPY|SCRAPYD|SCHEDULE|SERVE|CELERY)_[A-Z_]+|DATABASE_URL(_FILE)?|DEFAULT_PROFILE|PROFILES_FILE|DESCRIPTIONS|USER_AGENT_CONTACT)=.*/-u \1/p') PYF_ENV_FILE=

.PHONY: setup setup-test setup-bench demo test coverage soak bench lint secrets clean

setup: $(VENV)/.installed
setup-test: $(VENV)/.installed-test
setup-bench: $(VENV)/.installed-bench

$(VENV)/.installed: requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "pyf_scrapy needs Python 3.11 or newer; this is $$($(PYTHON) -V 2>&1). Name another one: make PYTHON=python3.12" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what requirements.txt lists into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements-test.txt
	@echo "Installing what requirements-test.txt lists into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt -c constraints.txt
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed requirements-bench.txt
	@echo "Installing what requirements-bench.txt lists into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt -c constraints.txt
	@touch $@

demo: setup
	@$(CLEAN) $(BIN)/scrapy demo

# Compiled code is kept, whatever the caller's environment says: the tests start hundreds of Python processes.
# Their files are removed at the end; `pytest` without make keeps them in the usual place.
# What fails, fails again: the seed of drawn cases and of the order of sets is SEED (make test SEED=7 draws others).
# loadgroup would do nothing: pytest-xdist 3.8 names the groups where pytest 9 does not look.
define pytest
@root=$$(mktemp -d "$$($(BIN)/python -m tests.folder)/t.XXXXXX") && trap 'rm -rf "$$root"' EXIT INT TERM && \
	$(CLEAN) PYTHONDONTWRITEBYTECODE= PYTEST_DEBUG_TEMPROOT="$$root" PYTHONHASHSEED=$(SEED) \
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --hypothesis-seed=$(SEED)
endef

# The rules of staying in sync are the only part whose every branch must be tested; measuring all costs half as
# much time again.
test: setup-test
	$(pytest) --ignore tests/sync
	$(pytest) tests/sync --cov=pyf_scrapy/sync --cov-report=term --cov-fail-under=100

coverage: setup-test
	$(pytest) --cov --cov-report=term --cov-fail-under=90

# make soak [PARTS="parsers/fuzzing kill"] [PYF_SEED=1] [PYF_FUZZ_SECONDS=3600]
soak: setup-test
	@$(CLEAN) $(foreach name,PYF_SEED PYF_FUZZ_SECONDS PYF_REAL_DATA,$(if $($(name)),$(name)='$($(name))')) \
		$(BIN)/python -m tests.soak $(PARTS)

# make bench [CASES="sweep members"] [ROUNDS=5] [DOCUMENTS=5000]
bench: setup-bench
	@$(CLEAN) $(BIN)/python -m benchmarks $(CASES) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(DOCUMENTS),--documents $(DOCUMENTS)); \
		code=$$?; $(BIN)/python -m tests.readme_tables && exit $$code

lint: setup-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# The passwords that docker-compose.yml hands over, once: databases keep those that they were made with. The folder
# keeps others out; the files must be readable, because each container has a user of its own.
secrets:
	@mkdir -m 700 secrets 2>/dev/null || { echo "secrets/ is there already; remove it to begin anew" >&2; exit 2; }
	@for name in typesense_api_key valkey_password postgres_password; do \
		$(PYTHON) -I -c 'import secrets; print(secrets.token_hex(32))' > secrets/$$name || exit 1; done
	@echo "redis://:$$(cat secrets/valkey_password)@valkey:6379/0" > secrets/redis_url
	@echo "postgresql+psycopg://pyf:$$(cat secrets/postgres_password)@postgres:5432/pyf" > secrets/database_url
	@chmod 644 secrets/*
	@echo "Wrote $$(echo secrets/*)."

clean:
	rm -rf $(VENV) .pyf
