# Everything a developer does here. `make` alone lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_FOR_USE := $(VENV)/.installed-for-use
OLDEST := .venv-oldest
NEWEST := .venv-newest
MADE := $(VENV)/.made $(OLDEST)/.made $(NEWEST)/.made

.DEFAULT_GOAL := help
.PHONY: help install demo demo-docker test test-oldest test-newest test-chaos test-cluster test-neural test-services test-images test-system lint docs format generate audit package images push pipeline upload lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv with everything, from requirements.lock

# Debian's python3 without python3-venv has no ensurepip; its own pip can still fill a bare environment.
$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || { echo "Evergreen needs Python 3.10 to 3.12; name one with: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(@D) 2>/dev/null || { $(PYTHON) -m venv --clear --without-pip $(@D) && $(PYTHON) -m pip --python $(@D)/bin/python install --quiet pip; }
	@touch $@

# Compiled afterwards, on all cores, which pip does on one; a library's own tests are left out, and files that no Python can compile do not matter.
PIP := -m pip install --quiet --disable-pip-version-check --no-compile
COMPILE_MODULES := -m compileall -q -j 0 -x '/tests?/' >/dev/null

# One environment for users and developers: both lock files agree, so each of the two adds what is missing to what the other has installed.
$(INSTALLED_FOR_USE): demo/requirements.lock pyproject.toml | $(VENV)/.made
	$(BIN)/python $(PIP) --require-hashes -r demo/requirements.lock
	@$(BIN)/python $(COMPILE_MODULES) $(VENV)/lib/python*/site-packages || true
	$(BIN)/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(INSTALLED): requirements.lock pyproject.toml | $(VENV)/.made
	$(BIN)/python $(PIP) --require-hashes -r requirements.lock
	@$(BIN)/python $(COMPILE_MODULES) $(VENV)/lib/python*/site-packages || true
	$(BIN)/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $(INSTALLED_FOR_USE) $@

demo: $(INSTALLED_FOR_USE) ## Play scheduled runs over fifty years of weather (installs what a user needs, from demo/requirements.lock)
	$(BIN)/python demo/run.py

demo-docker: images ## Play the first scheduled run from these images, step by step in containers
	$(BIN)/python demo/docker_run.py --registry $(IMAGE_REGISTRY)

# Per cent of the package's lines that run in the tests' own processes. Steps and servers that tests start are not measured: each would start slower.
COVERAGE_FLOOR ?= 94
COVERAGE := $(BIN)/python -m slipcover --out .coverage.json
# One more than there are processors: tests of outages and of processes mostly wait.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

test: $(INSTALLED) ## Run the tests, a file at a time in each of several processes (WORKERS=), and print what they cover
	$(COVERAGE) --json --source components/evergreen -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder
	$(COVERAGE) --merge .coverage.json --skip-covered --missing-width 60 --fail-under $(COVERAGE_FLOOR)

# What depends on KFP's package: the compiled pipelines, the steps as a cluster calls them, the API and the service that calls it.
KFP_TESTS := tests/pipeline tests/pipelines tests/submission tests/trigger tests/test_cli.py tests/test_pipeline_file.py tests/test_platform_file.py tests/test_pod_count.py

$(OLDEST)/.installed: tests/oldest.lock pyproject.toml | $(OLDEST)/.made
	$(OLDEST)/bin/python $(PIP) --no-deps -r tests/oldest.lock
	@$(OLDEST)/bin/python $(COMPILE_MODULES) $(OLDEST)/lib/python*/site-packages || true
	$(OLDEST)/bin/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

test-oldest: $(OLDEST)/.installed ## Run the tests that depend on KFP with the oldest versions that are supported (.venv-oldest)
	$(OLDEST)/bin/python -m pip check
	$(OLDEST)/bin/python -m pytest $(KFP_TESTS)

# Not locked: what came out since the lock was made is what these tests are for. Installed anew whenever they run.
test-newest: requirements.lock pyproject.toml | $(NEWEST)/.made ## Run the same tests with the newest KFP that can be installed (.venv-newest)
	$(NEWEST)/bin/python $(PIP) --require-hashes -r requirements.lock
	$(NEWEST)/bin/python $(PIP) --no-deps --no-build-isolation -e .
	$(NEWEST)/bin/python $(PIP) --upgrade "kfp<3" "kfp-kubernetes<3" "kfp-pipeline-spec<3" "kfp-server-api<3"
	@$(NEWEST)/bin/python $(COMPILE_MODULES) $(NEWEST)/lib/python*/site-packages || true
	$(NEWEST)/bin/python -m pip check
	$(NEWEST)/bin/python -m pytest $(KFP_TESTS)

test-chaos: $(INSTALLED) ## Kill, race and cut off deployments (installs PostgreSQL, as root), and print what came of it
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { apt-get update --quiet=2 && apt-get install --yes --quiet=2 --no-install-recommends postgresql; }
	$(BIN)/python -m pytest --session-timeout=1500 tests/chaos

test-cluster: $(INSTALLED) ## Run everything on the Kubeflow Pipelines that EVERGREEN_KFP_HOST names (needs kubectl), and print what came of it
	@test -n "$$EVERGREEN_KFP_HOST" && command -v kubectl >/dev/null || { echo "make test-cluster needs EVERGREEN_KFP_HOST and kubectl; docs/cluster.md says what else" >&2; exit 1; }
	$(BIN)/python -m pytest tests/cluster

# PyTorch's build without CUDA has a twentieth of the size, and lies on PyTorch's own index: name it with PIP_EXTRA_INDEX_URL. Else pip takes the usual one.
TORCH ?= torch==2.13.0+cpu
NEURAL := safetensors "keras>=3.5,<4" "numpy<2" "ml-dtypes<0.6"

test-neural: $(INSTALLED) ## Train PyTorch and Keras models (installs both)
	@KERAS_BACKEND=torch $(BIN)/python -c 'import keras, safetensors, torch' 2>/dev/null || $(BIN)/python -m pip install --quiet $(TORCH) $(NEURAL) || $(BIN)/python -m pip install --quiet torch $(NEURAL)
	KERAS_BACKEND=torch $(BIN)/python -m pytest tests/neural

test-services: $(INSTALLED) ## Run the tests that need a browser or PostgreSQL (installs them, as root)
	@command -v chromium >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { apt-get update --quiet=2 && apt-get install --yes --quiet=2 --no-install-recommends chromium postgresql; }
	$(BIN)/python -m pytest -m "not docker" tests/system

test-images: $(INSTALLED) ## Build the images and run the demo in them (installs a Docker engine, as root)
	@command -v dockerd >/dev/null && command -v debootstrap >/dev/null || { apt-get update --quiet=2 && apt-get install --yes --quiet=2 --no-install-recommends debootstrap docker.io; }
	$(BIN)/python -m pytest -m docker tests/system

test-system: test-services test-images ## Both

lint: $(INSTALLED) ## Check style, types, security, known vulnerabilities, the Dockerfile, the workflows, the templates and the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml components pipelines scripts
	$(BIN)/hadolint components/Dockerfile
	$(BIN)/actionlint .github/workflows/*.yaml
	$(BIN)/zizmor --offline --quiet --no-progress .github/workflows .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
	$(BIN)/pre-commit validate-config
	$(BIN)/python scripts/release_check.py
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci manifests/ci/gitlab-ci.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.circle-ci manifests/ci/circleci.yml
	$(BIN)/sphinx-build -W --keep-going -n -q -E docs $(DOCS)
	$(BIN)/python scripts/audit.py

# Strict: a link that leads nowhere is an error.
DOCS := docs/_build/html

docs: $(INSTALLED) ## Build the documentation as HTML, in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -n -q docs $(DOCS)
	@echo "Open $(DOCS)/index.html"

audit: $(INSTALLED) ## Look up known vulnerabilities of what the images hold; fails where that cannot be done
	$(BIN)/python scripts/audit.py --require

format: $(INSTALLED) ## Mend style where that can be done by machine
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(INSTALLED) ## Write the compiled YAML files and the generated reference again
	$(BIN)/python scripts/generate.py

COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url

package: $(INSTALLED_FOR_USE) ## Build the package for PyPI, into dist/
	rm -rf dist
	$(BIN)/hatchling build -d dist

IMAGE_REGISTRY ?= ghcr.io/kfp-evergreen
TARGETS ?= base drift trigger
PIPELINES := .evergreen/pipelines

images: $(INSTALLED) ## Build the images with a Docker engine (IMAGE_REGISTRY=, TARGETS=)
	$(BIN)/python scripts/images.py build --registry $(IMAGE_REGISTRY) $(addprefix --target ,$(TARGETS))

push: $(INSTALLED) ## Push the images, and write their digests
	$(BIN)/python scripts/images.py push --registry $(IMAGE_REGISTRY) $(addprefix --target ,$(TARGETS))

pipeline: $(INSTALLED) ## Compile the pipelines for your images, also as Kubernetes objects (IMAGE_REGISTRY=, DIGESTS=)
	mkdir -p $(PIPELINES)/objects
	for file in pipelines/*.py; do \
	  set -- "$$file" --image-registry $(IMAGE_REGISTRY) $(if $(DIGESTS),--digests $(DIGESTS)); \
	  $(BIN)/evergreen compile "$$@" -o "$(PIPELINES)/$$(basename "$$file" .py).yaml" || exit; \
	  $(BIN)/evergreen compile "$$@" --objects -o "$(PIPELINES)/objects/$$(basename "$$file" .py).yaml" >/dev/null || exit; \
	done

upload: $(INSTALLED) ## Upload what `make pipeline` compiled as new versions (TAG=, EVERGREEN_KFP_HOST)
	for file in $(PIPELINES)/*.yaml; do $(BIN)/evergreen submit "$$file" --upload-only $(if $(TAG),--tag "$(TAG)") || exit; done

# The images read every kind of source.
SOURCES := --extra s3 --extra sql --extra postgresql --extra kafka --extra kinesis

lock: $(INSTALLED) ## Resolve the dependencies anew
	$(COMPILE) --universal --python-version 3.10 pyproject.toml --extra alibi --extra trigger --group dev -o requirements.lock
	$(COMPILE) --universal --python-version 3.10 pyproject.toml --group editable --constraint requirements.lock -o demo/requirements.lock
	cp requirements.lock tests/oldest.lock # its versions are kept wherever the oldest ones allow
	$(filter-out --generate-hashes,$(COMPILE)) --no-annotate --universal --python-version 3.10 pyproject.toml --extra alibi --extra trigger --group dev --constraint tests/oldest-constraints.txt -o tests/oldest.lock
	$(COMPILE) --python-version 3.11 pyproject.toml --group image $(SOURCES) --constraint requirements.lock -o components/base.lock
	$(COMPILE) --python-version 3.11 pyproject.toml --group image $(SOURCES) --extra alibi --constraint requirements.lock -o components/drift.lock
	$(COMPILE) --python-version 3.11 --group trigger-image --constraint requirements.lock -o components/trigger.lock

clean: ## Remove the environments and all local runs
	rm -rf $(VENV) $(OLDEST) $(NEWEST) .evergreen .mypy_cache .pytest_cache .ruff_cache docs/_build
