# Everything a developer does here. `make` alone lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo demo-docker test test-chaos test-cluster test-neural test-services test-images test-system lint docs format generate audit images push pipeline upload lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv with everything, from requirements.lock

# Debian's python3 without python3-venv has no ensurepip; its own pip can still fill a bare environment.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || { echo "Evergreen needs Python 3.10 to 3.12; name one with: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) 2>/dev/null || { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED) ## Play scheduled runs over fifty years of weather
	$(BIN)/python demo/run.py

demo-docker: images ## Play the first scheduled run from these images, step by step in containers
	$(BIN)/python demo/docker_run.py --registry $(IMAGE_REGISTRY)

test: $(INSTALLED) ## Run the tests
	$(BIN)/python -m pytest

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

lint: $(INSTALLED) ## Check style, types, security, known vulnerabilities, the Dockerfile, the workflows and the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml components pipelines scripts
	$(BIN)/hadolint components/Dockerfile
	$(BIN)/actionlint .github/workflows/*.yaml
	$(BIN)/zizmor --offline --quiet --no-progress .github/workflows
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
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

IMAGE_REGISTRY ?= ghcr.io/kfp-evergreen
TARGETS ?= base drift trigger
PIPELINES := .evergreen/pipelines

images: $(INSTALLED) ## Build the images with a Docker engine (IMAGE_REGISTRY=, TARGETS=)
	$(BIN)/python scripts/images.py build --registry $(IMAGE_REGISTRY) $(addprefix --target ,$(TARGETS))

push: $(INSTALLED) ## Push the images, and write their digests
	$(BIN)/python scripts/images.py push --registry $(IMAGE_REGISTRY) $(addprefix --target ,$(TARGETS))

pipeline: $(INSTALLED) ## Compile the pipelines for your images (IMAGE_REGISTRY=, DIGESTS=)
	mkdir -p $(PIPELINES)
	for file in pipelines/*.py; do $(BIN)/evergreen compile "$$file" --image-registry $(IMAGE_REGISTRY) $(if $(DIGESTS),--digests $(DIGESTS)) -o "$(PIPELINES)/$$(basename "$$file" .py).yaml" || exit; done

upload: $(INSTALLED) ## Upload what `make pipeline` compiled as new versions (TAG=, EVERGREEN_KFP_HOST)
	for file in $(PIPELINES)/*.yaml; do $(BIN)/evergreen submit "$$file" --upload-only $(if $(TAG),--tag "$(TAG)") || exit; done

# The images read every kind of source.
SOURCES := --extra s3 --extra sql --extra postgresql --extra kafka --extra kinesis

lock: $(INSTALLED) ## Resolve the dependencies anew
	$(COMPILE) --universal --python-version 3.10 pyproject.toml --extra alibi --extra trigger --group dev -o requirements.lock
	$(COMPILE) --python-version 3.11 pyproject.toml --group image $(SOURCES) --constraint requirements.lock -o components/base.lock
	$(COMPILE) --python-version 3.11 pyproject.toml --group image $(SOURCES) --extra alibi --constraint requirements.lock -o components/drift.lock
	$(COMPILE) --python-version 3.11 --group trigger-image --constraint requirements.lock -o components/trigger.lock

clean: ## Remove the environment and all local runs
	rm -rf $(VENV) .evergreen .mypy_cache .pytest_cache .ruff_cache docs/_build
