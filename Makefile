# Needs Python >= 3.11 and make; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: demo test coverage check docs fuzz bench bench-quick fix clean
.DELETE_ON_ERROR:

demo: .venv/demo.stamp
	$(BIN)/onnxunlearn run sample_models/mnist_cnn.onnx --forget 3 \
		--data sample_models/mnist_probes.npz -o mnist_cnn.unlearned.onnx --overwrite --html
	$(BIN)/onnxunlearn patch sample_models/mnist_cnn.onnx mnist_cnn.unlearned.onnx -o mnist_cnn.patch --overwrite

# A process a core, each with one thread: the tests are many and small.
test: check
	$(ONE_THREAD) $(BIN)/pytest -n auto --maxprocesses=4 --dist worksteal

# The tests again, counting which lines they run; fails below the floor in pyproject.toml. Apart from `test`,
# for counting takes two fifths more
coverage: .venv/test.stamp
	$(ONE_THREAD) $(BIN)/pytest -n auto --maxprocesses=4 --dist worksteal --cov --cov-report=term

check: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

# The site, in build/site; a dead link or a name that is gone fails
docs: .venv/docs.stamp
	$(BIN)/mkdocs build --quiet --site-dir build/site

# 100,000 damaged models; what is found is kept in fuzz-findings/
fuzz: .venv/test.stamp
	$(ONE_THREAD) $(BIN)/python -m tests.fuzz $(FUZZ)

# docs/performance.md's tables, measured anew; hours. BENCH: --images FOLDER and more, see benchmarks/suite.py
bench: .venv/test.stamp
	$(BIN)/python benchmarks/suite.py $(BENCH)

# Ratios, which hold on any machine, and one whole run; minutes
bench-quick: .venv/test.stamp
	$(ONE_THREAD) $(BIN)/python benchmarks/suite.py --quick

fix: .venv/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cpu,images]'
	@touch $@

.venv/test.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

.venv/docs.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cpu,docs]'
	@touch $@

clean:
	rm -rf .venv build *.egg-info
