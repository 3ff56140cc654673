# How the environments are made that the targets of the Makefile run in.

BIOME := 2.6.8
AXE := 4.14.1
HTMX2 := 2.0.11

# pip shows its progress on a terminal only. What takes long is announced in either case.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check $$([ -t 2 ] || echo --quiet)
BIOME_DIR := .cache/biome-$(BIOME)
BROWSER_DIR := .cache/browser

# An environment keeps the Python that it was made with. Another one must not be ignored without a word.
MINOR := -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
ifneq ($(and $(filter command environment,$(origin PYTHON)),$(filter-out help,$(MAKECMDGOALS)),$(wildcard $(VENV)/.made)),)
ifneq ($(shell $(BIN)/python $(MINOR)),$(shell $(PYTHON) $(MINOR)))
$(error $(VENV) has Python $(shell $(BIN)/python $(MINOR)) and not $(PYTHON): add VENV=.venv-other, or remove $(VENV))
endif
endif

# The stamp comes last, so that an environment of which only half was made (Debian without python3-venv) is made again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "dbroute_panel needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo "Python could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

# A checkout has these links; an sdist, which can hold none, is given them.
LINKS := $(addprefix dbroute_panel/,docs static templates)

$(LINKS):
	@ln -s ../$(@F) $@

# The site runs from the checkout: to install dbroute_panel itself, pip would install what builds it as well.
$(VENV)/.installed-demo: $(VENV)/.made pyproject.toml | $(LINKS)
	@echo "Installing Django, the debug toolbar and what else the example site needs into $(VENV) (half a minute)"
	@$(BIN)/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  print(*project["dependencies"], *project["optional-dependencies"]["toolbar"], sep="\n")' >$(VENV)/.needed-demo
	@$(INSTALL) --no-compile -r $(VENV)/.needed-demo $(if $(DJANGO),'$(DJANGO)')
	@touch $@

# An extra of pyproject.toml: test, dev (also for make check, docs and test-matrix), browser, bench, mutants.
$(VENV)/.installed-%: $(VENV)/.made pyproject.toml | $(LINKS)
	@echo "Installing dbroute_panel and its extra '$*' into $(VENV) (a minute or two)"
	@$(INSTALL) -e '.[$*]' $(if $(DJANGO),'$(DJANGO)')
	@touch $@ $(VENV)/.installed-demo

$(addprefix $(VENV)/.installed-,dev browser mutants): $(VENV)/.installed-test

# mysqlclient is what most projects use, but it has to be compiled; PyMySQL comes with the extra.
$(VENV)/.installed-services: $(VENV)/.installed-test
	@echo "Installing the drivers of PostgreSQL and MariaDB, and Playwright, into $(VENV)"
	@$(INSTALL) -e '.[services]' $(if $(DJANGO),'$(DJANGO)')
	@$(INSTALL) 'mysqlclient>=2.2.1' >$(VENV)/.mysqlclient-log 2>&1 || \
	  echo "mysqlclient cannot be built here (on Debian and Ubuntu: apt install gcc libmariadb-dev pkg-config): taking PyMySQL"
	@touch $@ $(VENV)/.installed-browser

# axe, which judges the pages, and another htmx, for a page that has one already.
$(BROWSER_DIR)/.installed-$(AXE)-$(HTMX2):
	@command -v npm >/dev/null || { \
	  echo "The tests of the pages need npm: install Node.js, on Debian and Ubuntu: apt install npm" >&2; exit 1; }
	@rm -rf $(BROWSER_DIR) && mkdir -p $(BROWSER_DIR)
	@npm install --silent --no-audit --no-fund --no-save --prefix $(BROWSER_DIR) axe-core@$(AXE) htmx.org@$(HTMX2)
	@touch $@

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
