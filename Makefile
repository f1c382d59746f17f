# The commands a newcomer types. Each brings the virtual environment up to date first.
#   make demo           train the classic network, analyse one image, write a short report
#   make test           the tests, in under ten minutes on two cores
#   make test-full      the slow, full-size checks too
#   make test-gpu       the tests that need a GPU, and what they measured into benchmarks/results/gpu.md
#   make test-lowest    the tests with the oldest libraries that pyproject.toml allows
#   make test-newest    the tests with the newest ones
#   make coverage       the tests again, telling the lines and branches of the code that none of them reaches
#   make check          format, lint, types, layers, and the links of the docs
#   make site           the documentation as a site, in site/
#   make fuzz           ten thousand mutated files and command lines, in half an hour
#   make mutants        change the code in 150 places, one at a time, and see whether the tests notice, in two hours
#   make bench          time the peers beside cnnlab, and write docs/performance.md, in about an hour
#   make bench-quick    the same for a part of it, in five minutes
#   make lock           write requirements.lock anew from the newest versions
#   make release-check  build a release, and use it from empty environments, in ten minutes
.DEFAULT_GOAL := help
.PHONY: help demo test test-full test-gpu test-lowest test-newest coverage fuzz mutants check format lock docs docs-figures site bench bench-quick bench-environments release-check clean

# The newest Python that TensorFlow has wheels for and this machine has; `make PYTHON=... demo` overrides it.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(not sys.version_info >= (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements.lock
# pip shows what it fetches to whoever watches, and keeps a log short.
INSTALL := $(BIN)/python -m pip install $(shell test -t 2 || echo --quiet) --constraint $(LOCK)

help:
	@sed -n 's/^#   make/make/p' Makefile

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "cnnlab needs Python 3.11 or newer, and there is none on the PATH."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

# The version is in __init__.py, and in the metadata that is written when it is installed.
$(VENV)/.installed: pyproject.toml cnnlab/__init__.py $(LOCK) | $(BIN)/python
	@echo "Installing cnnlab and 55 packages into $(VENV): 0.7 GB to download, of which TensorFlow is 0.6, and 2.4 GB"
	@echo "on the disk. This takes one to five minutes."
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(LOCK) $(VENV)/.installed
	@echo "Installing what the tests and checks need beside it: 0.3 GB on the disk."
	$(INSTALL) --group dev
	@touch $@

demo: $(VENV)/.installed
	@echo "Training takes two to three minutes on a laptop; Ctrl-C keeps what is done, and make demo goes on with it."
	$(BIN)/cnnlab train --out runs/classic --resume
	$(BIN)/cnnlab analyze occlusion --model runs/classic --image examples/7.png --out runs/classic/analyses/demo
	$(BIN)/cnnlab report runs/classic --profile quick
	@echo
	@echo "Look at:"
	@ls -1 runs/classic/report.html runs/classic/*.png runs/classic/analyses/demo/*.png | sed 's/^/  /'
	@echo
	@echo "Go on with the README, in the environment that cnnlab is installed in:"
	@echo "  source $(BIN)/activate"

# A file in one process, and one more than two cores, for tests wait for commands and browsers; `make PROCESSES=9 test`
# on eight. What failed the last time runs first, then in the order of tests/conftest.py.
PROCESSES ?= 3
# Where this is set, as in many containers, each process and each command in the tests would compile cnnlab anew.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder --failed-first --durations=10

test: $(VENV)/.installed-dev
	$(BIN)/$(PYTEST) -m "not full"

test-full: $(VENV)/.installed-dev
	$(BIN)/$(PYTEST)

test-gpu: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.gpu

coverage: $(VENV)/.installed-dev
	$(BIN)/$(PYTEST) -m "not full" --cov --cov-report=term

fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m fuzz

LOWEST := .venv-lowest
test-lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --upgrade "pip>=25.1" uv
	$(LOWEST)/bin/uv pip compile --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --extra pandas \
		--no-annotate --no-header --output-file $(LOWEST)/lowest.txt pyproject.toml
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/lowest.txt --editable .
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/lowest.txt --group dev
	$(LOWEST)/bin/$(PYTEST) -m "not full"

# Nothing holds these libraries but pyproject.toml; what is newer than in requirements.lock is said before the tests.
NEWEST := .venv-newest
test-newest:
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(NEWEST)/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable ".[pandas]" --group dev
	@$(NEWEST)/bin/python -m pip list --format freeze --exclude-editable | grep -ivxFf $(LOCK) || true
	$(NEWEST)/bin/$(PYTEST) -m "not full"

mutants: $(VENV)/.installed-dev
	$(INSTALL) --group mutants
	$(BIN)/python benchmarks/mutants.py

ENVIRONMENTS := benchmarks/.environments
# The lists are whole: what a peer asks for and none of the work needs, such as CUDA, is not in them.
$(ENVIRONMENTS)/%/.installed: benchmarks/environments/%.txt | $(BIN)/python
	$(BIN)/python -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(@D)/bin/python -m pip install --quiet --no-deps --requirement $<
	@touch $@

bench-environments: $(patsubst benchmarks/environments/%.txt,$(ENVIRONMENTS)/%/.installed,$(wildcard benchmarks/environments/*.txt))

bench: $(VENV)/.installed-dev bench-environments
	$(BIN)/python -m benchmarks

bench-quick: $(VENV)/.installed-dev bench-environments
	$(BIN)/python -m benchmarks --quick

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/build_site.py

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.installed-dev
	$(BIN)/python docs/generate.py

site: $(VENV)/.installed-dev
	$(BIN)/python docs/build_site.py

docs-figures: $(VENV)/.installed-dev
	$(BIN)/python docs/figures.py

# Resolved afresh, whatever is installed; names and versions only, so that any package index serves them.
lock: $(BIN)/python
	$(BIN)/python -m pip install --quiet --dry-run --ignore-installed --report $(VENV)/report.json \
		--editable . --group dev
	$(BIN)/python -c 'import json, sys; \
		found = [item["metadata"] for item in json.load(open(sys.argv[1]))["install"]]; \
		print(*sorted("{name}=={version}".format(**m) for m in found if m["name"] != "cnnlab"), sep="\n")' \
		$(VENV)/report.json > $(LOCK)

# In dist/ afterwards is what was tried. RELEASE=--publish takes for a mistake what is only noted otherwise.
release-check: $(VENV)/.installed-dev
	$(BIN)/python .ci/release_check.py $(RELEASE)

clean:
	rm -rf $(VENV) $(LOWEST) $(NEWEST) $(ENVIRONMENTS) dist build site .pytest_cache .mypy_cache .ruff_cache
