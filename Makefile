# make demo    an example site with several databases on http://127.0.0.1:8000/ (PORT=8001 for another port)
# make test    the whole test suite on all processors (JOBS=1 for one); ARGS="-k sandbox" goes to pytest
# make test-busy   the same on a machine that has too much to do, RUNS=5 times, and in an order of its own
# make test-browser    every page in Chromium: keyboard, contrast, policies, narrow screens and all
# make test-services   the tests that need PostgreSQL, MariaDB and Chromium, with servers of their own
# make demo-services   make demo, with the primary and its replicas on PostgreSQL and the readers on MariaDB
# make test-django    Django's own tests, each with recording on, compared with a run without (some minutes)
# make test-libraries the tests of libraries that use Django's databases, recorded, compared with a run without
# make test-matrix    the test suite on each supported Python and Django that is here, with the toolbar and without
# make test-fuzz     2,000 random programs, each recorded and compared with what its databases have noted
# make test-lowest    the test suite with the lowest versions that pyproject.toml promises, on the oldest Python
# make screenshots     the pictures in docs/images; ALL=folder puts every page into a folder, to look at
# make bench   what recording costs, side by side with other tools (some minutes; ARGS=--quick, ARGS=--markdown)
# make mutants AREA=findings   what the tests notice when the code is changed; also inspection, recording (JOBS=4)
# make docs    the documentation, in .cache/docs/index.html; a warning is an error
# make messages    the catalogues of translations: new strings in, and compiled (needs gettext)
# make check   linters, types, layers
#
# Each makes .venv and installs what it needs into it, once. PYTHON=python3.12 chooses another Python,
# VENV=... another folder, DJANGO='Django==6.1.*' another Django (with a VENV of its own).

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
DJANGO ?=
ARGS ?=
JOBS ?= auto
BIOME := 2.6.8
AXE := 4.14.1
HTMX2 := 2.0.11

BIN := $(VENV)/bin
# Nobody waits in silence: on a terminal pip shows what it downloads, elsewhere a line says what is under way.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check $$([ -t 2 ] || echo --quiet)
BIOME_DIR := .cache/biome-$(BIOME)
BROWSER_DIR := .cache/browser

# Somebody else's project may be in the environment; each tool here knows its settings.
unexport DJANGO_SETTINGS_MODULE EXAMPLE_SITE_DATABASES

# Each of the hundreds of processes that the tests start would compile what it imports, a third of its time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo demo-services test test-busy test-browser test-services test-servers test-django test-django-short test-matrix test-lowest
.PHONY: test-fuzz test-libraries
.PHONY: docs screenshots messages reliability bench bench-here mutants
.PHONY: check check-ruff check-mypy check-templates check-layers check-biome
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# Making the environment is one step with a stamp at its end, so that a venv that was half made (Debian without
# python3-venv) is made again and not taken for a whole one.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "dbroute_panel needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo "Python could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

# A checkout has these; an sdist, which holds no links, is given them.
LINKS := $(addprefix dbroute_panel/,docs static templates)

$(LINKS):
	@ln -s ../$(@F) $@

# The site runs from the checkout: only what that imports is installed, and is compiled where it is first imported.
# To install the checkout itself, pip would install what builds it as well.
$(VENV)/.installed-demo: $(VENV)/.made pyproject.toml | $(LINKS)
	@echo "Installing Django, the debug toolbar and what else the example site needs into $(VENV) (half a minute)"
	@$(BIN)/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  print(*project["dependencies"], *project["optional-dependencies"]["toolbar"], sep="\n")' >$(VENV)/.needed-demo
	@$(INSTALL) --no-compile -r $(VENV)/.needed-demo $(if $(DJANGO),'$(DJANGO)')
	@touch $@

# What make test needs, and what needs the same.
$(VENV)/.installed-test: $(VENV)/.made pyproject.toml | $(LINKS)
	@echo "Installing dbroute_panel and what its tests need into $(VENV) (a minute or two)"
	@$(INSTALL) -e '.[test]' $(if $(DJANGO),'$(DJANGO)')
	@touch $@ $(VENV)/.installed-demo

# What make check, make docs and make test-matrix need as well.
$(VENV)/.installed-dev: $(VENV)/.installed-test
	@echo "Installing linters, Sphinx and nox into $(VENV) (a minute)"
	@$(INSTALL) -e '.[dev]' $(if $(DJANGO),'$(DJANGO)')
	@touch $@

$(VENV)/.installed-browser: $(VENV)/.installed-test
	@echo "Installing Playwright into $(VENV)"
	@$(INSTALL) -e '.[test,browser]' $(if $(DJANGO),'$(DJANGO)')
	@touch $@

# mysqlclient is what most people use, but it has to be built; PyMySQL is installed already.
$(VENV)/.installed-services: $(VENV)/.installed-test
	@echo "Installing the drivers of PostgreSQL and MariaDB, and Playwright, into $(VENV)"
	@$(INSTALL) -e '.[test,services]' $(if $(DJANGO),'$(DJANGO)')
	@$(INSTALL) 'mysqlclient>=2.2.1' >$(VENV)/.mysqlclient-log 2>&1 || \
	  echo "mysqlclient cannot be built here (on Debian and Ubuntu: apt install gcc libmariadb-dev pkg-config): taking PyMySQL"
	@touch $@ $(VENV)/.installed-browser

$(VENV)/.installed-bench: $(VENV)/.made pyproject.toml | $(LINKS)
	@echo "Installing dbroute_panel and the tools it is measured against into $(VENV) (a minute or two)"
	@$(INSTALL) -e '.[bench]' $(if $(DJANGO),'$(DJANGO)')
	@touch $@

demo: $(VENV)/.installed-demo
	@$(BIN)/python -m example_site runserver --setup 127.0.0.1:$(PORT)

demo-services: $(VENV)/.installed-services
	@$(BIN)/python -m example_site.services -- $(BIN)/python -m example_site runserver --setup 127.0.0.1:$(PORT)

# The recording and the asking of routers run inside other people's requests: there every branch is tested.
# Chosen tests (ARGS) say nothing about coverage. Coverage starts pytest, and not the other way round, because
# pytest loads our plugin before any option of its own.
ifeq ($(ARGS),)
test: $(VENV)/.installed-test
	@$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n $(JOBS) --dist worksteal --junitxml=$(VENV)/.report-of-all.xml
	@$(BIN)/python -m coverage combine --quiet
	@echo "Branch coverage: $$($(BIN)/python -m coverage report --format=total)%"
	@$(BIN)/python -m coverage report >$(VENV)/.coverage-of-all || { cat $(VENV)/.coverage-of-all; exit 1; }
	@$(BIN)/python -m coverage report --include='dbroute_panel/recording/*,dbroute_panel/inspection/*' --fail-under=100 \
	  >$(VENV)/.coverage-of-the-core || { cat $(VENV)/.coverage-of-the-core; exit 1; }
else
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(ARGS)
endif

# Two processes for each processor burn it meanwhile; RUNS=1 is the least, ARGS="tests/stores" a part. Without coverage.
RUNS ?= 5
test-busy: $(VENV)/.installed-test
	$(BIN)/python -m tools.busy --runs $(RUNS) $(if $(SEED),--seed $(SEED)) -n $(JOBS) --dist worksteal $(ARGS)

# Each worker has a Chromium and a site of its own.
test-browser: $(VENV)/.installed-browser $(BROWSER_DIR)/.installed-$(AXE)-$(HTMX2)
	$(BIN)/python -m pytest tests/browser -n $(JOBS) $(ARGS)

screenshots: $(VENV)/.installed-browser
	$(BIN)/python -m tools.screenshots $(ALL)

# What the pages are looked at with, and a page that has an htmx of its own.
$(BROWSER_DIR)/.installed-$(AXE)-$(HTMX2):
	@command -v npm >/dev/null || { \
	  echo "The tests of the pages need npm: install Node.js, on Debian and Ubuntu: apt install npm" >&2; exit 1; }
	@rm -rf $(BROWSER_DIR) && mkdir -p $(BROWSER_DIR)
	@npm install --silent --no-audit --no-fund --no-save --prefix $(BROWSER_DIR) axe-core@$(AXE) htmx.org@$(HTMX2)
	@touch $@

# In two parts, which .ci/run runs side by side; what is chosen (ARGS) is chosen of the first.
test-services: test-servers $(if $(ARGS),,test-browser)

test-servers: $(VENV)/.installed-services
	$(BIN)/python -m example_site.services --browser -- \
	  $(BIN)/python -m pytest tests/services --ds=tests.services.settings $(ARGS)

# The short list is for the continuous integration. LABELS="queries cache" takes these of Django's suites instead.
test-django: $(VENV)/.installed-test
	$(BIN)/python -m tools.django_suite $(LABELS)

test-django-short: $(VENV)/.installed-test
	$(BIN)/python -m tools.django_suite --short

# An environment for each library, made once. It is no part of .ci/run. LABELS="django-reversion" takes this one.
test-libraries: $(VENV)/.installed-test
	$(BIN)/python -m tools.libraries $(LABELS)

# ARGS="-m 'not slow'" goes to pytest, PAIRS="django60 and absent" to nox -k.
test-matrix: $(VENV)/.installed-dev
	$(BIN)/python -m nox $(if $(PAIRS),-k '$(PAIRS)') -- $(ARGS)

# ARGS="--seed 7" takes other programs.
test-fuzz: $(VENV)/.installed-test
	$(BIN)/python -m tests.fuzz --programs 2000 $(ARGS)

test-lowest: $(VENV)/.installed-dev
	$(BIN)/python -m nox --session lowest -- $(ARGS)

# The tables of docs/reliability.md, from what make test, test-django and test-libraries have left behind here.
REPORTS ?= $(wildcard .venv*/.report-of-all.xml) $(wildcard .cache/django-suite/figures-long-*.json) \
  $(wildcard .cache/libraries/figures-*.json)
reliability: $(VENV)/.installed-test
	$(BIN)/python -m tools.reliability $(REPORTS)

$(VENV)/.installed-mutants: $(VENV)/.installed-test
	@echo "Installing mutmut into $(VENV)"
	@$(INSTALL) -e '.[test,mutants]' $(if $(DJANGO),'$(DJANGO)')
	@touch $@

# The tables of docs/mutants.md. ARGS=--again takes those that nothing has noticed in the last run.
mutants: $(VENV)/.installed-mutants
	@$(BIN)/python -m tools.mutants $(AREA) --jobs $(if $(filter auto,$(JOBS)),1,$(JOBS)) $(ARGS)

# The tables of docs/performance.md; fails where a target is missed. In an environment of its own: some tools watch
# whatever else is installed.
bench:
	@$(MAKE) --no-print-directory VENV=$(VENV)-bench bench-here

bench-here: $(VENV)/.installed-bench
	@$(BIN)/python -m tools.benchmarks $(ARGS)

# Everything anew each time: Sphinx says nothing a second time about a page that it does not read again. The tests
# run the code of the pages, and say whether something is missing.
docs: $(VENV)/.installed-dev
	@rm -rf .cache/docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet --builder html docs .cache/docs
	@echo "The documentation is in .cache/docs/index.html"

# Without places, and each string on one line: a catalogue changes where a string has changed, and nowhere else.
messages: $(VENV)/.installed-test
	@command -v xgettext >/dev/null || { \
	  echo "The catalogues are made with gettext: on Debian and Ubuntu: apt install gettext" >&2; exit 1; }
	cd dbroute_panel && $(abspath $(BIN))/python -m django makemessages --locale de --locale fr \
	  --symlinks --ignore 'docs/*' --ignore 'static/*' --no-location --no-wrap --no-obsolete
	cd dbroute_panel && $(abspath $(BIN))/python -m django compilemessages

# With make -k check each of them runs, whatever the others find.
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

ifneq ($(shell command -v npm),)
check-biome: $(BIOME_DIR)/.installed
	$(BIOME_DIR)/node_modules/.bin/biome check --error-on-warnings
else ifneq ($(CI),)
check-biome:
	@echo "biome (CSS and JavaScript) needs npm: install Node.js, on Debian and Ubuntu: apt install npm" >&2; exit 1
else
check-biome:
	@echo "CSS and JavaScript NOT checked: biome needs npm (install Node.js, on Debian and Ubuntu: apt install npm)"
endif

$(BIOME_DIR)/.installed:
	@mkdir -p $(BIOME_DIR)
	@npm install --silent --no-audit --no-fund --no-save --prefix $(BIOME_DIR) @biomejs/biome@$(BIOME)
	@touch $@
