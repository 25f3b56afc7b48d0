# What a developer does with this checkout. It needs make and python3 (3.11 or newer, with venv); what a target needs
# beside them it installs into .venv first.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:
unexport PYTHONPATH PYTHONHOME

include recipes/firmware/blinky/firmware.mk

.PHONY: help demo test faults survival system-test system-packages compare benchmark startup performance boards docs lint format types floors wheel ci clean venv venv-dev

help: ## show this list
	@echo 'make TARGET, where TARGET is'
	@sed -n 's/^\([a-z-]*\):[^#]*## /  \1	/p' Makefile | expand -t 18
	@echo '  firmware        rebuild the images in recipes/firmware'
	@echo '  firmware-check  rebuild them aside and compare byte for byte'

# --- The demo -------------------------------------------------------------------------------------------------------

DEMO := build/demo
# What the board holds at first, as Intel HEX: 16 bytes at 0x08000000 that say "old firmware 0.9".
OLD_FIRMWARE := :020000040800F2\n:100000006F6C64206669726D7761726520302E397D\n:00000001FF\n

# Prints a command, then runs it with the installed dfurun; its journals stay in the demo's folder.
show = @printf '$$ %s\n' '$(1)'; PATH="$(CURDIR)/$(BIN):$$PATH"; DFURUN_STATE_DIR=$(DEMO)/state; \
	export PATH DFURUN_STATE_DIR; { $(1); } 2>&1

demo: venv ## flash a simulated STM32F072 by the release recipe
	@rm -rf $(DEMO); mkdir -p $(DEMO); printf '$(OLD_FIRMWARE)' > $(DEMO)/old.hex
	@echo '# A simulated board with old firmware and read protection at level 1:'
	$(call show,dfurun sim new $(DEMO)/board.json > /dev/null)
	$(call show,dfurun sim load $(DEMO)/board.json $(DEMO)/old.hex > /dev/null)
	$(call show,dfurun sim protect $(DEMO)/board.json 1 | head -n 5)
	@echo; echo '# What USB tells about it; this only reads:'
	$(call show,dfurun info --sim-state $(DEMO)/board.json)
	@echo; echo '# The release recipe. The board takes as long as a real one:'
	$(call show,dfurun recipes/f072-release.yaml --sim-state $(DEMO)/board.json)
	@echo; echo '# What the chip holds now; the other lines are its option bytes by name:'
	$(call show,dfurun sim show $(DEMO)/board.json | head -n 5)
	@echo; echo '# Its flash and the image, compared by another program:'
	$(call show,dfurun sim dump $(DEMO)/board.json $(DEMO)/flash.bin)
	$(call show,cmp -n 4744 $(DEMO)/flash.bin recipes/firmware/f072-blinky.bin)
	@echo equal
	@echo; echo '# Next, in this folder: `. $(VENV)/bin/activate`, so that dfurun is found; then docs/guide/five-minutes.md'

# --- The checks -----------------------------------------------------------------------------------------------------

test: venv-dev ## run the tests; make test ARGS="-k protection" runs some
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

system-test: venv-dev ## the tests in a virtual machine: a real kernel's USB stack, dfu-util as the referee
	$(BIN)/python -m pytest -m system -rs tests/system $(ARGS)

system-packages: ## install what the virtual machine needs; Debian, as root
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
		$$(cut -d ' ' -f 2 tests/system/packages.txt)

faults: venv ## the fault matrix of the F072 and F405 recipes: every fault, at every transfer
	$(BIN)/dfurun check --faults recipes/f072-*.yaml recipes/f405-*.yaml $(ARGS)

survival: venv ## the fault matrix of all shipped recipes, as a page: docs/fault-matrix.md
	@mkdir -p build
	$(BIN)/dfurun check --faults recipes/*.yaml --format markdown > build/fault-matrix.md
	{ printf '%s\n' '# The fault matrix of the shipped recipes' '' \
		'What came of every fault at every place, tried on simulated boards: how, and what is promised, is in' \
		'[reliability.md](reliability.md#the-fault-matrix). `make survival` makes this page; its times are those of the' \
		'computer that did, two cores of a shared virtual machine. A cell without a number: nothing was tried there.' ''; \
		cat build/fault-matrix.md; } > docs/fault-matrix.md

compare: venv-dev ## dfurun and dfu-util in the same situations, in the virtual machine: docs/comparison.md
	$(BIN)/python -m benchmarks.comparison $(ARGS)

benchmark: venv-dev ## measure, on the virtual clock and in the virtual machine: benchmarks/report.md, startup.md, docs/performance.md
	$(BIN)/python -m benchmarks

performance: venv-dev ## measure on the virtual clock, and draw: docs/performance.md; a minute, anywhere
	$(BIN)/python -m benchmarks.performance

startup: venv-dev ## measure how long dfurun takes to start: benchmarks/startup.md
	$(BIN)/python -m benchmarks.startup

boards: venv-dev ## measure 16 boards at once beside one alone: benchmarks/boards.md; then make performance
	$(BIN)/python -m benchmarks.boards

docs: venv-dev ## make the pages and the index that are made of data
	$(BIN)/python -m dfurun.report.reference docs
	$(BIN)/dfurun plan recipes/f072-release.yaml --svg docs/pictures/f072-release.svg > /dev/null

lint: venv-dev ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: venv-dev ## ruff: mend what it can, and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: venv-dev ## mypy, strict
	$(BIN)/mypy

floors: venv-dev ## import-linter: no floor of the house imports one above it
	$(BIN)/lint-imports

wheel: venv-dev ## build the sdist, and from the sdist the wheel, into dist/
	$(BIN)/python -m build --outdir dist

ci: ## everything that has to pass before a change lands
	sh .ci/run

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

# --- The environment ------------------------------------------------------------------------------------------------

# $(call set_up,EXTRA): let .venv hold dfurun, editable, with the extra. $(INSTALLED) is written last and says of which
# checkout, which pyproject.toml and which extras it is. A .venv without it, or of a checkout that was moved, or whose
# dfurun does not work (its Python was replaced; for `--version` too little is imported to tell), is made anew. An
# installed wheel has its bytecode compiled; an editable install gets the same, so that it starts as fast.
INSTALLED := $(VENV)/installed.txt
define set_up
@declared="pyproject.toml $$(cksum < pyproject.toml)"; \
has() { grep -qsxF -e "$$1" $(INSTALLED); }; \
sound() { has 'checkout $(CURDIR)' && $(BIN)/dfurun chips > /dev/null 2>&1; }; \
if sound && has "$$declared" && has 'with .$(1)'; then exit 0; fi; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo 'dfurun needs Python 3.11 or newer, and $(PYTHON) is not.' >&2; \
	echo 'Debian 12 or newer: apt-get install python3 python3-venv' >&2; \
	echo 'Another Python: make PYTHON=python3.13 ...' >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
	echo 'This Python cannot make a virtual environment: its venv module is not installed.' >&2; \
	echo 'Debian: apt-get install python3-venv' >&2; exit 1; }; \
set -e; \
if ! sound; then \
	echo "Making $(VENV) with $$($(PYTHON) --version)"; \
	rm -rf $(VENV); \
	$(PYTHON) -m venv $(VENV); \
fi; \
rm -f $(INSTALLED); \
echo 'Installing .$(1) into $(VENV); only the first time takes a while'; \
$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.$(1)'; \
$(BIN)/python -m compileall -q dfurun || true; \
printf '%s\n' 'checkout $(CURDIR)' "$$declared" 'with .' 'with .$(1)' > $(INSTALLED)
endef

venv:
	$(call set_up)

venv-dev:
	$(call set_up,[dev])
