#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command in the workspace's environment.
set -e
# shellcheck source=/dev/null
. /grasp_ws/env.sh
exec "$@"
