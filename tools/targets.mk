# Targets that are rarely needed. Each is a make target like those of the Makefile, which includes this file:
#
#   make test-busy       the test suite beside processes that keep every processor busy, the last time in a random order
#   make test-fuzz       2,000 random programs, each recorded and compared with what its databases have noted
#   make test-lowest     the test suite with the lowest versions that pyproject.toml promises, on the oldest Python
#   make test-django     Django's tests, with and without recording (some minutes); test-django-short: fewer of them
#   make test-libraries  the tests of libraries that use Django's databases, with and without recording
#   make mutants         AREA=findings (inspection, recording): what the tests notice when the code is changed
#   make reliability     the tables of docs/reliability.md, from what the tests have left behind here
#   make screenshots     the pictures in docs/images; ALL=folder puts every page into a folder

.PHONY: test-busy test-fuzz test-lowest test-django test-django-short test-libraries mutants reliability screenshots

# RUNS=1 is the least, ARGS="tests/stores" chooses a part, SEED=7 the order. Coverage is not measured.
RUNS ?= 5
test-busy: $(VENV)/.installed-test
	$(BIN)/python -m tools.busy --runs $(RUNS) $(if $(SEED),--seed $(SEED)) -n $(JOBS) --dist worksteal $(ARGS)

# ARGS="--seed 7" takes other programs.
test-fuzz: $(VENV)/.installed-test
	$(BIN)/python -m tests.fuzz --programs 2000 $(ARGS)

test-lowest: $(VENV)/.installed-dev
	$(BIN)/python -m nox --session lowest -- $(ARGS)

# LABELS="queries cache" chooses among Django's suites.
test-django: $(VENV)/.installed-test
	$(BIN)/python -m tools.django_suite $(LABELS)

test-django-short: $(VENV)/.installed-test
	$(BIN)/python -m tools.django_suite --short

# Each library has an environment, made once. LABELS="django-reversion" chooses one. .ci/run leaves this target out.
test-libraries: $(VENV)/.installed-test
	$(BIN)/python -m tools.libraries $(LABELS)

# The tables of docs/mutants.md. JOBS=4 tests four at a time, ARGS=--again those that no test has noticed before.
mutants: $(VENV)/.installed-mutants
	@$(BIN)/python -m tools.mutants $(AREA) --jobs $(if $(filter auto,$(JOBS)),1,$(JOBS)) $(ARGS)

REPORTS ?= $(wildcard .venv*/.report-of-all.xml) $(wildcard .cache/django-suite/figures-long-*.json) \
  $(wildcard .cache/libraries/figures-*.json)
reliability: $(VENV)/.installed-test
	$(BIN)/python -m tools.reliability $(REPORTS)

screenshots: $(VENV)/.installed-browser
	$(BIN)/python -m tools.screenshots $(ALL)
