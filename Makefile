# SPDX-License-Identifier: Apache-2.0
# Five words for everyday, and each does its own set-up: demo, test, check, fix, bench. (And: test-cluster, docs, clean, lock.)

PYTHON ?= python3
override VENV := .venv
READY := $(VENV)/.ready
RUN := $(VENV)/bin/python

# The environment is ours alone: nothing of the caller's Python leaks in. The tests start some 2,000 Pythons: each must
# find its modules compiled.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
export PYTHONNOUSERSITE := 1

.PHONY: help demo test test-cluster check fix bench docs lock clean
.DEFAULT_GOAL := help

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /make \1|/' | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

$(READY): requirements/dev.txt pyproject.toml scripts/bootstrap.sh
	@sh scripts/bootstrap.sh "$(PYTHON)" "$(VENV)"
	@touch $@

demo: $(READY) ## run notebooks/quickstart.ipynb, print its results and where the page is
	@$(RUN) -m scripts.demo

# Three processes for two processors: one of them waits for Chromium, and some tests wait (tests/sharing_out.py).
test: $(READY) ## run every test; ARGS="-k counter" chooses
	@sh scripts/ensure_chromium.sh
	@$(RUN) -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-cluster: $(READY) ## run the rules of engines on the cluster of FLAME_ENDPOINT, FLAME_CACHE_ENDPOINT; ARGS="-x" as above
	@test -n "$$FLAME_ENDPOINT" || { echo "Say which cluster: FLAME_ENDPOINT=http://host:8080 make test-cluster" >&2; exit 2; }
	@$(RUN) -m pytest tests/spec -k cluster $(ARGS)

check: $(READY) ## format, lint, types, import arrows, links, API reference, messages
	@sh scripts/check.sh $(VENV)

fix: $(READY) ## format, mend what ruff can mend, write docs/reference/api.md and the messages of flamepy/wire
	@$(RUN) -m ruff format --quiet .
	@$(RUN) -m ruff check --fix --quiet .
	@$(RUN) -m scripts.make_api_reference
	@$(RUN) -m scripts.make_wire

bench: $(READY) ## the same work on us and on the standard library's process pool, one table
	@$(RUN) -m benchmarks $(ARGS)

docs: $(READY) ## make the site, build/site; check every link, run every example of the README, tutorials and how-tos
	@$(RUN) -m scripts.check_docs_links
	@$(RUN) -m scripts.make_api_reference --check
	@$(RUN) -m scripts.make_site
	@$(RUN) -m scripts.run_doc_examples

lock: $(READY) ## resolve requirements/dev.txt anew (needs uv)
	@uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 --upgrade --quiet \
		--no-emit-index-url --custom-compile-command "make lock" --output-file requirements/dev.txt

clean: ## remove the environment and everything that was built
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
