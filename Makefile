# python3 and make are all that has to be installed: bootstrap.py finds uv, or puts one into .uv/.
CODE = *.py lib study tests notebooks benchmarks site
export UV_PROJECT_ENVIRONMENT = .venv
export PYTHONDONTWRITEBYTECODE =  # not anew in every kernel

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

setup: .venv/.ready  ## install the locked packages into .venv/ (uv too, into .uv/, if it is missing)

study: setup  ## run every notebook of the study and print its claims
	.venv/bin/study run

test: setup  ## check the code's style, run the unit tests, run the notebooks and compare their outputs
	.venv/bin/ruff check $(CODE)
	.venv/bin/ruff format --check $(CODE)
	.venv/bin/pytest -n auto --dist loadscope --no-loadscope-reorder

test-environment: setup  ## install environment.yml's packages anew (5 GB) and import the study there
	.venv/bin/pytest -m environment tests/test_environment.py

notebooks: setup  ## after an edit of notebooks/*.py: execute them and renew notebooks/*.ipynb
	.venv/bin/jupytext --quiet --update --to ipynb notebooks/[0-9]*.py
	.venv/bin/study run
	cp output/digits/*.ipynb notebooks/
	cp output/digits/measures.parquet results/digits/
	cp output/digits/figures/03_training_time-6.png results/digits/power_above.png
	.venv/bin/study claims --write

site: .venv/.site  ## write the site of the executed notebooks into output/site/html/
	.venv/bin/python site/build.py

test-site: .venv/.site  ## check the site in Chromium (installed by apt where that may be)
	@site/chromium || { echo "make test-site: skipped: no Chromium, and apt cannot install it"; exit 0; }; \
	.venv/bin/pytest -m site --disable-warnings tests/test_site.py

reproduce: setup  ## run the study under other threads and instruction sets; results/reproduce.md
	.venv/bin/study reproduce --write

.venv/.ready: pyproject.toml uv.lock
	python3 bootstrap.py sync --locked --compile-bytecode
	@touch $@

.venv/.site: .venv/.ready
	python3 bootstrap.py sync --locked --group site --compile-bytecode
	@touch $@

.PHONY: help setup study test test-environment notebooks site test-site reproduce
