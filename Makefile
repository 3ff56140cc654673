# make demo           the example site with several databases on http://127.0.0.1:8000/ (PORT=8001: another port)
# make demo-services  the same, with the primary and its replicas on PostgreSQL and the readers on MariaDB
# make test           the test suite on all processors (JOBS=1: on one); ARGS="-k sandbox" goes to pytest
# make test-services  the tests that need PostgreSQL, MariaDB and Chromium
# make test-browser   every page in Chromium: keyboard, contrast, policies, narrow screens
# make test-matrix    the test suite on each supported Python and Django that is installed
# make check          linters, types, layers
# make docs           the documentation, in .cache/docs/index.html
# make messages       the catalogues of translations: collect new strings, and compile (needs gettext)
# make bench          what recording costs, side by side with other tools (ARGS=--quick, ARGS=--markdown)
#
# Each target makes .venv and installs what it needs into it, once. PYTHON=python3.12 chooses another Python,
# DJANGO='Django==6.1.*' another Django, both for an environment of their own (VENV=.venv-312).

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
DJANGO ?=
ARGS ?=
JOBS ?= auto

BIN := $(VENV)/bin

# The environment may hold the settings of another project; each tool here knows its own.
unexport DJANGO_SETTINGS_MODULE EXAMPLE_SITE_DATABASES
# The tests start hundreds of processes. Without compiled modules each would spend a third of its time compiling.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo demo-services test test-services test-servers test-browser test-matrix docs messages bench bench-here
.PHONY: check check-ruff check-mypy check-templates check-layers check-biome
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "Rarely used ones, such as test-busy, test-lowest, test-django and mutants: tools/targets.mk"

include tools/environment.mk
include tools/targets.mk

demo: $(VENV)/.installed-demo
	@$(BIN)/python -m example_site runserver --setup 127.0.0.1:$(PORT)

demo-services: $(VENV)/.installed-services
	@$(BIN)/python -m example_site.services -- $(BIN)/python -m example_site runserver --setup 127.0.0.1:$(PORT)

# recording/ and inspection/ run inside other people's requests: there every branch is tested. Chosen tests (ARGS) say
# nothing about coverage. Coverage starts pytest, because pytest loads the plugin of this package before its options.
ifeq ($(ARGS),)
test: $(VENV)/.installed-test
	@$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n $(JOBS) --dist worksteal --junitxml=$(VENV)/.report-of-all.xml
	@$(BIN)/python -m coverage combine --quiet
	@echo "Branch coverage: $$($(BIN)/python -m coverage report --format=total)%"
	@$(BIN)/python -m coverage report >$(VENV)/.coverage-of-all || { cat $(VENV)/.coverage-of-all; exit 1; }
	@$(BIN)/python -m coverage report --include='dbroute_panel/recording/*,dbroute_panel/inspection/*,dbroute_panel/masking/*,dbroute_panel/environment.py' --fail-under=100 \
	  >$(VENV)/.coverage-of-the-core || { cat $(VENV)/.coverage-of-the-core; exit 1; }
else
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(ARGS)
endif

# In two parts, which .ci/run runs one after the other. ARGS chooses tests of the first part.
test-services: test-servers $(if $(ARGS),,test-browser)

# One module needs Chromium as well: without it, it is skipped here, and fails where CI is set.
test-servers: $(VENV)/.installed-services
	$(BIN)/python -m example_site.services $(if $(filter test-services,$(MAKECMDGOALS)),--browser) -- \
	  $(BIN)/python -m pytest tests/services --ds=tests.services.settings $(ARGS)

# Each worker of pytest-xdist has a Chromium and a site.
test-browser: $(VENV)/.installed-browser $(BROWSER_DIR)/.installed-$(AXE)-$(HTMX2)
	$(BIN)/python -m pytest tests/browser -n $(JOBS) $(ARGS)

# ARGS="-m 'not slow'" goes to pytest, PAIRS="django60 and absent" to nox -k.
test-matrix: $(VENV)/.installed-dev
	$(BIN)/python -m nox $(if $(PAIRS),-k '$(PAIRS)') -- $(ARGS)

# With make -k check each part runs, even if another one has failed.
check: check-ruff check-mypy check-templates check-layers check-biome

check-ruff: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-mypy: $(VENV)/.installed-dev
	$(BIN)/mypy

check-templates: $(VENV)/.installed-dev
	find templates example_site -name '*.html' -print0 | xargs -0 $(BIN)/djade --target-version 5.2 --check

check-layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports

# The old pages go first: Sphinx warns only of pages that it reads again.
docs: $(VENV)/.installed-dev
	@rm -rf .cache/docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet --builder html docs .cache/docs
	@echo "The documentation is in .cache/docs/index.html"

# Without source references, and each string on one line: a catalogue changes only where a string has changed.
messages: $(VENV)/.installed-test
	@command -v xgettext >/dev/null || { \
	  echo "The catalogues are made with gettext: on Debian and Ubuntu: apt install gettext" >&2; exit 1; }
	cd dbroute_panel && $(abspath $(BIN))/python -m django makemessages --locale de --locale fr \
	  --symlinks --ignore 'docs/*' --ignore 'static/*' --no-location --no-wrap --no-obsolete
	cd dbroute_panel && $(abspath $(BIN))/python -m django compilemessages

# The tables of docs/performance.md; fails where a target is missed. The environment is another one, because some of
# the other tools watch whatever is installed beside them.
bench:
	@$(MAKE) --no-print-directory VENV=$(VENV)-bench bench-here

bench-here: $(VENV)/.installed-bench
	@$(BIN)/python -m tools.benchmarks $(ARGS)
