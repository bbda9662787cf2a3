#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Style, format, types, shell scripts, and the house rules that a machine can check. Called by ./ws lint.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0
check() {
    local title="$1"; shift
    if "$@"; then echo "lint: $title: fine"; else echo "lint: $title: see above" >&2; failed=1; fi
}
check "ruff" ruff check --quiet .
check "format" ruff format --quiet --check .
check "types of grasp_core (strict)" mypy src/grasp_core/grasp_core
check "shell scripts" shellcheck --severity=warning --shell=bash ws env.sh scripts/*.sh .ci/run docker/*.sh
check "Dockerfile" hadolint --config docker/hadolint.yaml docker/Dockerfile
check "rooms" python scripts/check_rooms.py
exit "$failed"
