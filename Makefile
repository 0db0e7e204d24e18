# make setup | run | test | sim | fault | lint | docs | bench | lock | clean
PYTHON ?= python3.11
BIN := .venv/bin
TESTS ?= tests
STAMP := .venv/.installed

.PHONY: setup run test sim fault lint docs lock bench clean

setup: $(STAMP)

$(STAMP): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m agents.localkafka fetch
	touch $(STAMP)

# The pages are tested in Debian's Chromium, the read model on its PostgreSQL, the alerts with its promtool; elsewhere
# the tests say what to install.
PACKAGES := chromium postgresql prometheus
.PHONY: packages
packages:
	@command -v chromium >/dev/null && command -v promtool >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null; \
	  else echo "for all tests: apt-get install $(PACKAGES)"; fi; }

run: $(STAMP)
	$(BIN)/parcours run --shop --data .parcours --speed 600x

test: $(STAMP) packages lint
	$(BIN)/pytest -q $(TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint deploy/Dockerfile
	@PATH="$(CURDIR)/.cache/bin:$$PATH"; if command -v helm >/dev/null; then helm lint --strict --quiet deploy/helm/parcours; \
	  else echo "helm lint was left out: \`make tools\` builds helm where there is Go"; fi

# helm is in no package of pip or Debian: built from its sources, once, where there is Go.
.PHONY: tools
tools:
	@command -v go >/dev/null || { echo "make tools needs Go"; exit 1; }
	GOBIN=$(CURDIR)/.cache/bin go install helm.sh/helm/v3/cmd/helm@v3.19.5

docs: $(STAMP)
	$(BIN)/mkdocs build --strict --quiet
	@echo "file://$(CURDIR)/.cache/site/index.html"

# The cluster on one thread, from seeds: make sim SEEDS=1000; one again: FIRST=17 SEEDS=1; a planted bug: BUG=no_fencing
sim: $(STAMP)
	$(BIN)/python -m tests.sim.run --seeds $(or $(SEEDS),100) --first $(or $(FIRST),0) $(if $(BUG),--bug $(BUG))

# Real processes on a real broker, and what breaks them: make fault ROWS=short, ROWS=zombie,kill SEED=7 INJECTIONS=20 BUG=no_fencing
fault: $(STAMP)
	$(BIN)/python -m tests.fault.run --rows $(or $(ROWS),all) $(if $(SEED),--seed $(SEED)) $(if $(INJECTIONS),--injections $(INJECTIONS)) $(if $(BUG),--bug $(BUG))

bench: $(STAMP)
	$(BIN)/python -m benchmarks.report

lock:
	$(BIN)/uv pip compile pyproject.toml --extra build --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --universal --python-version 3.11 -q -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --extra build --extra kafka-local --extra dev --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --universal --python-version 3.11 -q -o requirements/dev.txt

clean:
	rm -rf .venv .cache .parcours .mypy_cache .ruff_cache .pytest_cache .hypothesis
