# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test clean

demo: .venv/installed  ## Train edges2cats, translate held-out edges, end with a contact sheet.
	@set -e; run=runs/demo-$$(date +%Y%m%d-%H%M%S); \
	$(BIN)/i2i train demo --data edges2cats --run-dir $$run && \
	$(BIN)/i2i translate edges2cats:test $$run/held-out --model $$run --sheet $$run/held-out.png && \
	echo && \
	echo "contact sheet (input | output | target): $$run/held-out.png" && \
	echo "run folder: $$run" && \
	echo "TensorBoard: $(BIN)/tensorboard --logdir runs"

test: .venv/installed  ## ruff, mypy --strict, pytest.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 -m "not slow"

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv build *.egg-info
