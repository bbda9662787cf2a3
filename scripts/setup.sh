#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets the workspace up, from a bare machine to a built workspace. Called by ./ws and by docker/Dockerfile.
# Each step leaves a stamp in .ws/stamps and is skipped while what it depends on is unchanged, so that a run that was
# interrupted goes on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/common.sh
HERE="$PWD"
case "$HERE" in
    *[[:space:]]*)
        echo "setup: the path '$HERE' contains a space, which colcon and virtual environments cannot take; move the checkout" >&2
        exit 1
        ;;
esac
[ $# = 0 ] || { echo "setup: takes no arguments, got: $*" >&2; exit 2; }
STAMPS=.ws/stamps
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/grasp_ws"
mkdir -p "$STAMPS"
# Two set-ups at once would undo each other; the second waits.
exec 9> .ws/lock
flock -n 9 || { echo "setup: another set-up of this checkout is running; waiting for it"; flock 9; }

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
trap 'printf "\nsetup: interrupted; ./ws setup goes on from here\n" >&2; exit 130' INT

# fresh STAMP KEY: whether the step was done with this very key.
# The key holds the checkout's place as well: what was built does not survive a move.
fresh() { [ -e "$STAMPS/$1" ] && [ "$(cat "$STAMPS/$1")" = "$HERE $2" ]; }
done_with() { printf '%s' "$HERE $2" > "$STAMPS/$1"; }
names_in() { sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$1"; }
key_of() { cat "$@" 2>/dev/null | sha256sum | cut -c1-16; }

# In a terminal: the latest line that comes in, over the one before. Elsewhere a line a minute, as a sign of life.
latest_line() {
    trap '' INT # the command ends first, its last lines still come through
    local line="" last="" width told=$SECONDS begun=$SECONDS status
    if [ ! -t 1 ]; then
        while status=0; IFS= read -r -t 5 line || status=$?; [ "$status" = 0 ] || [ "$status" -gt 128 ]; do
            [ "$status" = 0 ] && last="$line"
            ((SECONDS - told < 60)) && continue
            printf '  after %d s: %s\n' "$((SECONDS - begun))" "${last:0:100}"
            told=$SECONDS
        done
        return
    fi
    width="$(stty size < /dev/tty 2> /dev/null | cut -d' ' -f2 || true)"
    [ "${width:-0}" -ge 20 ] || width=80
    while IFS= read -r line; do
        printf '\r\033[K  %s' "${line:0:$((width - 4))}"
    done
    printf '\r\033[K'
}

# Runs a command into a log and shows the log's end only when it fails.
quietly() {
    local log="$1"; shift
    mkdir -p .ws/log
    if ! "$@" 2>&1 | tee -i ".ws/log/$log" | latest_line; then
        tail -n 40 ".ws/log/$log" >&2
        fail "this step failed; the whole output is in .ws/log/$log"
    fi
}

choose_ros() {
    ROS="$(ws_find_ros)"
    if [ -n "${WS_ROS:-}" ] && [ "$WS_ROS" != none ] && [ -z "$ROS" ]; then
        fail "WS_ROS asks for '$WS_ROS', which is not one of $WS_DISTRIBUTIONS, or ${WS_ROS_ROOT:-/opt/ros}/$WS_ROS/setup.sh is not there"
    fi
    if [ -n "$ROS" ]; then
        MODE="${ROS%% *}"
        say "using the installed ROS 2 $MODE in ${ROS#* }, because it is there; no stand-ins are built (WS_ROS=none would use the wheels)"
    elif [ "${WS_ROS:-}" = none ]; then
        MODE=wheels
        say "using ROS 2 Jazzy wheels and the stand-ins in underlay/, because WS_ROS=none asks for it"
    else
        MODE=wheels
        say "using ROS 2 Jazzy wheels and the stand-ins in underlay/, because no ROS 2 is installed in ${WS_ROS_ROOT:-/opt/ros}"
    fi
}

choose_python() {
    # An environment that happens to be active is not what a new one is made from.
    if [ -n "${VIRTUAL_ENV:-}" ]; then
        PATH="$(printf '%s' "$PATH" | tr ':' '\n' | grep -vxF "$VIRTUAL_ENV/bin" | paste -sd:)"
        unset VIRTUAL_ENV
    fi
    local candidates=("${WS_PYTHON:-}")
    [ -z "${WS_PYTHON:-}" ] && [ "$MODE" = wheels ] && [ -e .ws/python ] && candidates+=("$(cat .ws/python)")
    if [ "$MODE" = wheels ]; then
        candidates+=(python3 python3.12 python3.11)
    else
        candidates+=(/usr/bin/python3) # the distribution's modules are compiled for the system's Python
    fi
    local python
    for python in "${candidates[@]}"; do
        [ -n "$python" ] && command -v "$python" > /dev/null || continue
        VERSION="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)"
        if [ "$VERSION" = 3.11 ] || [ "$VERSION" = 3.12 ] || { [ "$MODE" != wheels ] && [ -n "$VERSION" ]; }; then
            PYTHON="$(command -v "$python")"
            echo "$PYTHON" > .ws/python # the next set-up without WS_PYTHON keeps to it
            return
        fi
    done
    fail "Python 3.11 or 3.12 is needed and was not found; install python3 or name one: WS_PYTHON=/path/to/python3.12 ./ws setup"
}

install_system_packages() {
    local key wanted missing=() name
    key="$MODE $(key_of requirements/apt.txt requirements/ros-apt.txt)"
    fresh apt "$key" && return
    if ! command -v dpkg-query > /dev/null; then
        say "this is no Debian or Ubuntu: see to the packages in requirements/apt.txt yourself"
        done_with apt "$key"
        return
    fi
    wanted="$(names_in requirements/apt.txt)"
    if [ "$MODE" != wheels ]; then
        wanted="$wanted"$'\n'"$(names_in requirements/ros-apt.txt | sed "s/^/ros-$MODE-/")"
    fi
    while read -r name; do
        dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
    done <<< "$wanted"
    if [ "${#missing[@]}" -gt 0 ]; then
        if [ "$(id -u)" != 0 ]; then
            printf 'setup: these system packages are missing and only root can install them. Run\n\n    sudo apt-get install %s\n\nthen start again.\n' "${missing[*]}" >&2
            exit 3
        fi
        say "installing system packages: ${missing[*]}"
        quietly apt.log env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends "$@"' sh "${missing[@]}"
    fi
    done_with apt "$key"
}

make_environment() {
    local key
    key="$MODE $VERSION $("$PYTHON" -c 'import sys; print(sys.base_prefix)')"
    if ! fresh venv "$key" || ! .venv/bin/python -c '' 2> /dev/null; then
        say "making a virtual environment with Python $VERSION in .venv"
        rm -rf .venv "$STAMPS/pip" "$STAMPS/underlay" "$STAMPS/build"
        local options=()
        [ "$MODE" = wheels ] || options=(--system-site-packages)
        "$PYTHON" -m venv "${options[@]}" .venv
        touch .venv/COLCON_IGNORE
        done_with venv "$key"
    fi
    . .venv/bin/activate
}

# The versions to hold pip to. An installed distribution brings its own NumPy, which its compiled modules need.
write_constraints() {
    if [ "$MODE" = wheels ]; then
        cp requirements/constraints.txt .ws/constraints.txt
        return
    fi
    grep -viE '^(numpy|pyyaml|argcomplete|colcon)' requirements/constraints.txt > .ws/constraints.txt
    "$PYTHON" -c 'import numpy; print("numpy==" + numpy.__version__)' >> .ws/constraints.txt
}

install_python_packages() {
    local key files=(requirements/python.txt requirements/dev.txt)
    [ "$MODE" = wheels ] && files+=(requirements/ros.txt)
    key="$MODE $VERSION $(key_of "${files[@]}" requirements/constraints.txt)"
    fresh pip "$key" && return
    write_constraints
    quietly pip-self.log python -m pip install "pip<26" "setuptools<80" wheel
    # PyBullet has no wheel past Python 3.11.
    if [ "$VERSION" != 3.11 ]; then
        local pybullet
        pybullet="$(sed -n 's/^\(pybullet==[^ ]*\).*/\1/p' requirements/python.txt)"
        if ! compgen -G "$CACHE/wheels/pybullet-${pybullet#*==}-cp${VERSION/./}-*.whl" > /dev/null; then
            say "building $pybullet from its source package (about five minutes, once): PyPI has no wheel for Python $VERSION"
            mkdir -p "$CACHE/wheels"
            quietly pybullet.log python -m pip wheel --no-deps --no-binary pybullet -w "$CACHE/wheels" "$pybullet"
        fi
    fi
    say "installing Python packages (the log is .ws/log/pip.log)"
    local arguments=(-c .ws/constraints.txt) file
    [ -d "$CACHE/wheels" ] && arguments+=(--find-links "$CACHE/wheels")
    for file in "${files[@]}"; do arguments+=(-r "$file"); done
    quietly pip.log python -m pip install "${arguments[@]}"
    [ "$MODE" = wheels ] && quietly relocate.log python scripts/relocate_cmake_exports.py
    done_with pip "$key"
}

enter_ros() {
    set +u
    if [ "$MODE" = wheels ]; then
        export AMENT_PREFIX_PATH="$VIRTUAL_ENV" CMAKE_PREFIX_PATH="$VIRTUAL_ENV"
        LD_LIBRARY_PATH="$(python scripts/wheel_libraries.py)"
        export LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
    else
        . "${ROS#* }/setup.bash"
        . .venv/bin/activate
    fi
    set -u
}

# What a build depends on: which files there are, and the contents of those that are not merely linked.
source_key() {
    {
        find "$@" -name __pycache__ -prune -o -type f -print | sort
        find "$@" \( -name package.xml -o -name setup.py -o -name setup.cfg -o -name CMakeLists.txt -o -name '*.msg' -o -name '*.srv' -o -name '*.action' \) -type f -print0 | sort -z | xargs -0 cat
        echo "$MODE $VERSION"
    } | sha256sum | cut -c1-16
}

colcon_build() {
    local log="$1"; shift
    quietly "$log" python -m colcon --log-base .ws/colcon build --symlink-install --merge-install "$@" \
        --cmake-args -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DPython3_EXECUTABLE="$VIRTUAL_ENV/bin/python" -DPYTHON_EXECUTABLE="$VIRTUAL_ENV/bin/python" --no-warn-unused-cli
}

build_underlay() {
    [ "$MODE" = wheels ] || return 0
    local key wanted=() name path
    key="$(source_key underlay)"
    fresh underlay "$key" && [ -e .ws/underlay/local_setup.bash ] && return
    for path in underlay/*/; do
        name="$(basename "$path")"
        # Whatever the ament index has already is the real package.
        [ -e "$VIRTUAL_ENV/share/ament_index/resource_index/packages/$name" ] || wanted+=("underlay/$name")
    done
    say "building the stand-ins: $(printf '%s ' "${wanted[@]##*/}")"
    colcon_build underlay.log --base-paths "${wanted[@]}" --build-base .ws/build-underlay --install-base .ws/underlay
    done_with underlay "$key"
}

build_workspace() {
    local key
    key="$(source_key src launch config urdf)"
    fresh build "$key" && [ -e install/local_setup.bash ] && return
    if [ "$MODE" = wheels ]; then
        set +u; . .ws/underlay/local_setup.bash; set -u
    fi
    say "building the workspace with colcon"
    colcon_build build.log --base-paths src
    done_with build "$key"
}

main() {
    local begin=$SECONDS
    choose_ros
    choose_python
    install_system_packages
    make_environment
    install_python_packages
    enter_ros
    build_underlay
    build_workspace
    echo "$MODE" > .ws/mode
    say "ready after $((SECONDS - begin)) s; 'source env.sh' gives you a shell with ros2"
    cd "$HERE"
}

main "$@"
