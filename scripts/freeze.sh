#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints requirements/constraints.txt for the running virtual environment.
set -euo pipefail
echo "# Versions that were run together, transitive ones included; made with: ./ws shell, then scripts/freeze.sh > requirements/constraints.txt"
pip freeze --exclude-editable | grep -v ' @ ' | sed 's/+cpu//' | grep -viE '^(pip|setuptools|wheel|grasp)'
