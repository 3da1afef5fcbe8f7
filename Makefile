# make demo    the whole road, from nothing to a gate verdict, in minutes on two CPU cores
# make test    the tests
# make test-slurm  the tests of [executor] kind = "slurm" on a real Slurm of one node, which it installs and starts (as root)
# make fuzz    a million mutated files through everything that reads files; takes an hour
# make fuzz-guided  the same readers, led by which code an input reaches (atheris); twenty minutes
# make faults  every process killed, starved and shut out at every moment: hundreds of cases; root for the full disk
# make kills   trainings of all three models killed at random points: the same weights and curves, bit for bit; a few minutes
# make licences, make audit   docs/licences.md anew; known weaknesses of the pinned packages, where the index tells them
# make check   style, types, layers and tests: what CI runs
# make wheel   dist/*.whl

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt

.PHONY: demo test test-slurm fuzz fuzz-guided faults kills licences audit check lint wheel clean

demo: $(VENV)/.installed
	$(BIN)/brefine launch-phase3 --config configs/demo.toml

# Without bytecode on disk each of the hundreds of processes that tests start would compile brefine anew.
test: $(VENV)/.installed-dev
	env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

SLURM := $(CURDIR)/.slurm-node

test-slurm: $(VENV)/.installed-dev
	tests/slurm/one_node.sh install
	tests/slurm/one_node.sh start $(SLURM)
	SLURM_CONF=$(SLURM)/slurm.conf BREFINE_SLURM=1 $(BIN)/python -m pytest tests/slurm; \
	  code=$$?; tests/slurm/one_node.sh stop $(SLURM); rm -rf $(SLURM); exit $$code

fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.fuzz.run

fuzz-guided: $(VENV)/.installed-dev
	$(INSTALL) atheris
	$(BIN)/python -m tests.fuzz.guided

faults: $(VENV)/.installed-dev
	$(BIN)/python -m tests.faults.matrix

kills: $(VENV)/.installed-dev
	$(BIN)/python -m tests.train.killed_trainings

licences: $(VENV)/.installed-dev
	$(BIN)/python -m tests.licences

audit:
	$(PYTHON) -m venv .venv-audit && .venv-audit/bin/python -m pip install -q pip-audit
	.venv-audit/bin/pip-audit --no-deps --disable-pip -r constraints.txt || echo "see above: weaknesses, or no word from the index"

check: lint test

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check brefine tests
	$(BIN)/ruff check brefine tests
	$(BIN)/mypy

wheel: $(VENV)/.installed-dev
	$(BIN)/python -m build --wheel

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "brefine needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "brefine needs Python 3.11 or newer, $(PYTHON) is older: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make $(VENV): install its venv and pip (Debian, Ubuntu: apt install python3-venv), then make again"; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing brefine into $(VENV) (about 3 minutes and 6 GB the first time; PyTorch is most of it)"
	$(INSTALL) -e '.[voices]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing brefine and its development tools into $(VENV) (about 3 minutes and 6 GB the first time)"
	$(INSTALL) -e '.[voices,dev]'
	@touch $@ $(VENV)/.installed
