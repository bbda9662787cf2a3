# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC1090 # what is sourced is known only when it is
# Source this in bash or zsh:  source env.sh
# Afterwards `ros2 launch grasp_bringup ...` works as on any ROS 2 machine. `./ws setup` comes first.

if [ -n "${BASH_SOURCE:-}" ]; then
    _ws_file="${BASH_SOURCE[0]}"
    _ws_shell=bash
elif [ -n "${ZSH_VERSION:-}" ]; then
    _ws_file="$0" # zsh: the name of the sourced file
    _ws_shell=zsh
else
    echo "env.sh: source it in bash or zsh" >&2
    return 1
fi
WS_HOME="$(cd "$(dirname "$_ws_file")" && pwd)"
export WS_HOME
. "$WS_HOME/scripts/common.sh"

if [ ! -e "$WS_HOME/.venv/bin/activate" ]; then
    echo "env.sh: the workspace is not set up yet; run $WS_HOME/ws setup" >&2
    return 1
fi

_ws_ros="$(ws_find_ros)"
_ws_mode="${_ws_ros%% *}"
if [ "$(cat "$WS_HOME/.ws/mode" 2> /dev/null)" != "${_ws_mode:-wheels}" ]; then
    echo "env.sh: the workspace was not set up for ${_ws_mode:-the ROS wheels}; run $WS_HOME/ws setup" >&2
    unset _ws_file _ws_shell _ws_ros _ws_mode
    return 1
fi
if [ -n "$_ws_ros" ]; then
    . "${_ws_ros#* }/setup.$_ws_shell"
fi
. "$WS_HOME/.venv/bin/activate"
if [ -z "$_ws_ros" ]; then
    # The ROS wheels live in the virtual environment; with these set, Python need not start twice to find its libraries.
    export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3
    export AMENT_PREFIX_PATH="$VIRTUAL_ENV" CMAKE_PREFIX_PATH="$VIRTUAL_ENV"
    LD_LIBRARY_PATH="$(python "$WS_HOME/scripts/wheel_libraries.py")"
    export LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
    if [ -e "$WS_HOME/.ws/underlay/local_setup.$_ws_shell" ]; then
        . "$WS_HOME/.ws/underlay/local_setup.$_ws_shell"
    fi
fi
if [ -e "$WS_HOME/install/local_setup.$_ws_shell" ]; then
    . "$WS_HOME/install/local_setup.$_ws_shell"
fi

# Nodes see only this machine unless you say otherwise: export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET before sourcing.
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
# Images need more shared memory than Fast DDS takes by default (see the file). Your own profile is left alone.
# Fast DDS 2 (Jazzy) and 3 (Kilted and later) read it under different names.
if [ -z "${FASTRTPS_DEFAULT_PROFILES_FILE:-}${FASTDDS_DEFAULT_PROFILES_FILE:-}" ]; then
    if [ "$ROS_DISTRO" = jazzy ]; then
        export FASTRTPS_DEFAULT_PROFILES_FILE="$WS_HOME/config/dds/fastdds.xml"
    else
        export FASTDDS_DEFAULT_PROFILES_FILE="$WS_HOME/config/dds/fastdds.xml"
    fi
fi
# Tab completion of the stand-in for ros2; an installed distribution brings its own.
if [ -z "$_ws_ros" ] && command -v register-python-argcomplete > /dev/null; then
    case "$-" in
        *i*)
            [ "$_ws_shell" = zsh ] && autoload -U bashcompinit && bashcompinit
            eval "$(register-python-argcomplete ros2)"
            ;;
    esac
fi
unset _ws_file _ws_shell _ws_ros _ws_mode
