# Every target sets up what it needs by itself; `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help serve test test-pack check export bench bench-check contracts-demo lock clean venv-serve venv-dev

BIN := .venv/bin
export PYTHON

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

serve: venv-serve ## start the service: PORT=8080 CREDENTIALS=file WORKERS=n
	@exec $(BIN)/visavis serve $(if $(PORT),--port "$(PORT)") \
		$(if $(CREDENTIALS),--credentials "$(CREDENTIALS)") $(if $(WORKERS),--workers "$(WORKERS)")

test: venv-dev ## run the tests on the real Triton: TESTS=tests/unit
	@$(BIN)/visavis export --quiet
	@$(BIN)/pytest $(TESTS)

test-pack: venv-dev ## run the contracts' tests on another pack, exported and calibrated: PACK=its model repository
	@test -f "$(PACK)/operating_points.json" || { echo "PACK=DIR: a model repository with thresholds"; exit 1; }
	@$(BIN)/pytest tests/contracts --model-repository "$(PACK)"

check: venv-dev ## format, lint, types, import rules, deployment files
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v docker-compose >/dev/null; then \
		echo docker-compose config; \
		settings=$$(mktemp) && ENV_FILE=$$settings VISAVIS_STATE__ENCRYPTION_KEY=any STATE_PASSWORD=any \
			docker-compose --file docker-compose.yml config --quiet; \
		status=$$?; rm -f "$$settings"; exit $$status; \
	else \
		echo "docker-compose is not installed: docker-compose.yml is not checked"; test "$(CI)" != true; \
	fi

export: venv-serve ## make the models' graphs
	@$(BIN)/visavis export

# The graphs are made within the time that a bench promises.
bench: venv-dev ## measure this machine: ARGS=--quick
	@export BENCH_BEGAN=$$(date +%s); $(BIN)/visavis export --quiet && exec $(BIN)/visavis bench run $(ARGS)

bench-check: venv-dev ## fail where a share of the limit is worse than the committed one beyond noise
	@$(BIN)/visavis export --quiet
	@$(BIN)/visavis bench check $(ARGS)

contracts-demo: venv-dev ## ask the four vendors' own clients about one person and two
	@$(BIN)/visavis export --quiet
	@PYTHONPATH=tests $(BIN)/python -m contracts.demo

# The locks are universal and name no package index.
UV := build/uv/bin/uv
COMPILE := $(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --quiet
SERVE_EXTRAS := --extra accuracy --extra embedded --extra export --extra openvino --extra redis --extra s3

lock: venv-dev ## renew the locks in requirements/: UPGRADE=1 for the newest versions
	@test -x $(UV) || ($(BIN)/python -m venv build/uv && build/uv/bin/python -m pip install --quiet uv)
	$(COMPILE) $(if $(UPGRADE),--upgrade) $(SERVE_EXTRAS) --group dev --group perf --group build \
		-o requirements/dev.txt
	$(COMPILE) $(SERVE_EXTRAS) --group build -c requirements/dev.txt -o requirements/serve.txt
	$(COMPILE) --extra redis --extra s3 -c requirements/dev.txt -o requirements/proxy.txt
	$(COMPILE) --extra export -c requirements/dev.txt -o requirements/export.txt
	$(subst pyproject.toml,--group models,$(COMPILE)) --no-emit-package numpy -c requirements/dev.txt -o requirements/triton.txt
	for lock in requirements/sdk-*.in; do \
		$(subst pyproject.toml,$$lock,$(COMPILE)) $(if $(UPGRADE),--upgrade) -o $${lock%.in}.txt || exit; \
	done

clean: ## remove what was built and installed here
	rm -rf .venv .venvs .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	rm -rf model_repository/*/[0-9]*/model.onnx model_repository/models.json model_repository/operating_points.json

venv-serve:
	@sh requirements/venv.sh serve

venv-dev:
	@sh requirements/venv.sh dev
