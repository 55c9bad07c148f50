# Each of `make demo`, `make test` and `make docs` does all the set-up.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test docs clean

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

docs: .venv/installed  ## The documentation as a site; a broken link is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "documentation: site/index.html"

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv build site *.egg-info
