# `make` alone shows this menu.
.DEFAULT_GOAL := menu
.PHONY: menu demo test lint types imports tests bench lock

BIN := .venv/bin

menu: ## this menu
	@grep -hE '^[a-z]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+): .*## (.*)/  make \1\t\2/' | expand -t 16

demo: ## the gateway with a sandbox platform and a sandbox till; ONCE=1 plays the whole story and ends
	@tools/prepare run
	@$(BIN)/drainage --home "$${DRAINAGE_HOME:-var/demo}" demo $(if $(filter 1,$(ONCE)),--once)

test: ## lint, types, import contracts and all tests; REQUIRE_ALL=1 lets nothing be left out
	@tools/prepare dev
	@tools/prepare programs
	@$(MAKE) --no-print-directory lint types imports tests

lint: ## style and dead ends
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: ## mypy, strict
	@$(BIN)/mypy

imports: ## which room may see which
	@$(BIN)/lint-imports --no-logo

tests: ## the tests alone
	@$(BIN)/pytest -n "$${TEST_PROCESSES:-$$(($$(nproc 2>/dev/null || echo 2) + 1))}" $(TESTS)

bench: ## the benchmarks of docs/performance.md with their peers, and a table
	@tools/prepare dev
	@tools/prepare measuring
	@$(BIN)/python -m benchmarks $(BENCH)

lock: ## newest versions into the locks (needs uv in the environment)
	@uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 --all-extras -o requirements.dev.lock pyproject.toml
	@uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 --extra postgres --extra redis --extra photo -c requirements.dev.lock -o requirements.lock pyproject.toml
	@! grep -n '://' requirements.lock requirements.dev.lock
