# Two commands matter: `make demo` shows the main job end to end, `make test` checks everything.
# PYTHON=python3.12 picks another interpreter; CUDA=1 installs MLX's CUDA backend (NVIDIA, Linux).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEFT := .venv-peft
comma := ,
# as many processes as test at once; tests of one file stay in one, for they share what they build
TEST_PROCESSES ?= 2
EXTRAS := dev$(if $(filter Linux,$(shell uname -s)),$(if $(CUDA),$(comma)cuda,$(comma)cpu))
WHAT := -c constraints.txt -e '.[$(EXTRAS)]'
PIP := python -m pip install --quiet --disable-pip-version-check
INSTALL := pip install --quiet --compile-bytecode $(WHAT)

.PHONY: env demo test faults format bench architectures peft pictures clean

env: $(STAMP)

# Made anew only when what is to be installed changed. uv installs in seconds what takes pip minutes: pip gets it where
# there is none.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); ok or sys.exit("Python 3.11 to 3.13 is needed, but %s is %s; pick another with make PYTHON=python3.12" % (sys.executable, sys.version.split()[0]))'
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && uv $(INSTALL) --python $(BIN)/python; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  { $(BIN)/$(PIP) -c constraints.txt uv && $(BIN)/uv $(INSTALL) --python $(BIN)/python || \
	    { echo "uv could not install it, so pip does: that takes minutes"; $(BIN)/$(PIP) $(WHAT); }; }; \
	fi
	@touch $@

demo: env
	$(BIN)/python -m harness.train -m lora.rank=4,8,16 name=demo train.iters=75 train.steps_per_eval=25 train.save_every=75
	$(BIN)/python -m harness.promote --name demo
	$(BIN)/python -m harness.compare 'adapters=[none,models:/demo@champion]' generate.max_tokens=64
	$(BIN)/python -m harness.runs

test: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder --durations=10

faults: env
	$(BIN)/pytest -m slow tests/faults

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: env
	$(BIN)/python -m benchmarks.setup
	$(BIN)/python -m benchmarks.prepare
	$(BIN)/python -m benchmarks.train
	$(BIN)/python -m benchmarks.tracking
	$(BIN)/python -m benchmarks.prediction
	$(BIN)/python -m benchmarks.fits
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.generate
	$(BIN)/python -m benchmarks.serve
	$(BIN)/python -m benchmarks.judging
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.studies
	$(BIN)/python -m benchmarks.step
	$(BIN)/python -m benchmarks.sweep

architectures: env # docs/architectures.md: each of mlx-lm's tried as a tiny random model
	$(BIN)/python -m tools.architectures

peft: $(PEFT)/.installed # docs/peft.md: each architecture's adapter held against peft and transformers
	$(PEFT)/bin/python -m tools.peft

# Beside the other environment and on top of it: where torch is installed, transformers imports it with every command
$(PEFT)/.installed: env
	@if [ ! -e $@ ] || [ $(STAMP) -nt $@ ]; then \
	  $(BIN)/python -m venv --clear $(PEFT) && \
	  $(BIN)/python -c 'import site; print("\n".join(site.getsitepackages() + ["$(CURDIR)"]))' > $(PEFT)/seen.pth && \
	  mv $(PEFT)/seen.pth $$($(PEFT)/bin/python -c 'import site; print(site.getsitepackages()[0])')/ && \
	  $(PEFT)/bin/$(PIP) -c constraints.txt torch peft && touch $@; \
	fi

pictures: env # of README and docs; needs Chromium
	$(BIN)/python -m tools.pictures

clean:
	rm -rf $(VENV) $(PEFT) build *.egg-info
