#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The one entry point of this workspace. Run ./ws help.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"

usage() {
    cat <<'EOF'
usage: ./ws COMMAND [ARGUMENTS]

  setup          set everything up: system packages, virtual environment, wheels, stand-ins, colcon build.
                 Safe to run again; goes on where it was interrupted; a second run takes seconds.
  demo [ARGS]    set up, then let the simulated UR5 clear a table of ten objects through ROS, recorded; ends by itself with
                 a summary in recordings/latest. Launch arguments may follow (viewer:=false, objects:=4, policy:=NAME).
  demo --smoke   set up, then start the smallest real graph: two processes, an action, images; ends by itself.
  test [ARGS]    set up, then run the test suite; arguments go to pytest (-k NAME, a path, ...).
  lint           set up, then check style, format, types, shell scripts and launch files.
  bench [NAMES]  set up, then run benchmarks/NAME.py (all without a name) and collect their JSON in .ws/bench.
  shell          set up, then open a shell in which ros2 and the workspace work.
  clean          remove what was built and installed here (.venv .ws build install log); recordings stay.
  help           this text.

  WS_PYTHON=PATH   the Python (3.11 or 3.12) to make the virtual environment with
  WS_ROS=NAME      use that installed distribution (jazzy, kilted, lyrical, rolling), or none for the wheels
EOF
}

enter() {
    bash scripts/setup.sh
    set +u
    . ./env.sh
    set -u
}

command="${1:-help}"
[ $# -gt 0 ] && shift
case "$command" in
    setup | lint | shell | clean)
        if [ $# -gt 0 ]; then
            echo "ws: $command takes no arguments, got: $*" >&2
            exit 2
        fi
        ;;
esac
case "$command" in
    setup)
        bash scripts/setup.sh
        ;;
    demo)
        enter
        if [ "${1:-}" = --smoke ]; then
            shift
            exec ros2 launch grasp_bringup smoke.launch.py exchanges:=5 "$@"
        fi
        exec ros2 launch grasp_bringup sim_ur5.launch.py scene:=blocks objects:=10 episodes:=1 stay:=false \
            headless_mode:=true record_dir:="$PWD/recordings" log_level:=warn "$@"
        ;;
    test)
        enter
        exec python -m pytest -n "${WS_TEST_PROCESSES:-2}" "$@"
        ;;
    lint)
        enter
        exec bash scripts/lint.sh
        ;;
    bench)
        enter
        exec bash scripts/bench.sh "$@"
        ;;
    shell)
        enter
        exec "${SHELL:-bash}" -i
        ;;
    clean)
        # Nodes that were killed leave their shared memory behind; this frees what no live process holds.
        [ -x .venv/bin/fastdds ] && [ "$(id -u)" != 0 ] && .venv/bin/fastdds shm clean || true
        rm -rf .venv .ws build install log .pytest_cache .mypy_cache .ruff_cache .hypothesis
        echo "removed what was built and installed here"
        ;;
    help | -h | --help)
        usage
        ;;
    *)
        echo "ws: there is no command '$command'" >&2
        usage >&2
        exit 2
        ;;
esac
