#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs benchmarks/NAME.py for each name given, or all; JSON goes to .ws/bench/NAME.json. Called by ./ws bench.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p .ws/bench
names=("$@")
if [ "${#names[@]}" = 0 ]; then
    for file in benchmarks/*.py; do names+=("$(basename "$file" .py)"); done
fi
for name in "${names[@]}"; do
    [ -e "benchmarks/$name.py" ] || { echo "bench: there is no benchmarks/$name.py" >&2; exit 2; }
    echo "== $name"
    python "benchmarks/$name.py" --json ".ws/bench/$name.json"
done
