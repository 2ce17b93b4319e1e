# Two commands: `make reproduce` and `make test`. Both set up .venv first, with uv where there is one.
# CONSTRAINTS= installs the newest versions that pyproject.toml allows instead of those that passed.
CONSTRAINTS ?= constraints.txt
PYTHON ?= python3
BIN := .venv/bin
PIN := $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))

.PHONY: reproduce test lint reference results benchmarks clean

# First what is there within a minute: 100 photographs painted by a classifier that ships with the package. Then the main job.
reproduce: .venv/.installed
	$(BIN)/robsynth synthesize classifier=cifar10_laptop samples.count=100 out=outputs/painted_cifar10
	$(BIN)/robsynth reproduce

# A process a core, of one thread each. T=tests/ascent runs a part, T='-m "not slow"' the quick tests.
T ?=
test: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile $(T)

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# docs/reference.md, from the settings' own help texts.
reference: .venv/.installed
	$(BIN)/python -c 'from robsynth.config.help import reference; print(reference(), end="")' > docs/reference.md

# Real runs into results/, and README's figures from them. All but the first need their data sets.
RESULTS := mnist5k cifar10_laptop restricted_imagenet_laptop cats_vs_dogs_laptop
results: $(RESULTS:%=results-%)

results-%: .venv/.installed
	$(BIN)/robsynth reproduce experiment=$* out=outputs/$*
	$(BIN)/robsynth report record=outputs/$* out=results/$* readme=README.md

# Sweeps of the digits, see experiments/sweeps/README.md.
results-sweep-%: .venv/.installed-sweeps
	$(BIN)/robsynth sweep sweep=$* out=outputs/sweeps/$*
	$(BIN)/robsynth report record=outputs/sweeps/$* out=results/sweeps/$*

# Speed against other libraries and other ways, into results/benchmarks/, and README's figures from it. Wants a machine for itself.
BENCHMARKS := augmentation compilation evaluation speed
benchmarks: $(BENCHMARKS:%=benchmarks-%)

benchmarks-%: .venv/.installed-dev
	$(BIN)/python experiments/benchmarks/$*.py
	$(BIN)/robsynth report record=results/mnist5k out=results/mnist5k readme=README.md

.venv/.installed: pyproject.toml $(CONSTRAINTS)
	$(call install,.)

.venv/.installed-sweeps: pyproject.toml $(CONSTRAINTS)
	$(call install,.[sweeps])
	touch .venv/.installed

.venv/.installed-dev: pyproject.toml $(CONSTRAINTS)
	$(call install,.[dev])
	touch .venv/.installed

define install
	@$(PYTHON) -c 'import sys; sys.exit("robsynth: Python 3.11 or newer is needed; found " + sys.version.split()[0] + "; PYTHON=... names another" if sys.version_info < (3, 11) else 0)'
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
		uv pip install --python .venv $(PIN) --editable '$(1)'; \
	else \
		$(PYTHON) -m venv .venv && $(BIN)/python -m pip install $(PIN) --editable '$(1)'; \
	fi
	@touch $@
endef

clean:
	rm -rf .venv outputs
