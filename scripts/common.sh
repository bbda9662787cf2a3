# SPDX-License-Identifier: Apache-2.0
# Shared by ws, env.sh and scripts/setup.sh: which ROS 2 is used, and where things lie. Sourced by bash and zsh.

# Distributions that this workspace was written for, the newest first.
WS_DISTRIBUTIONS="lyrical kilted jazzy rolling"

# Whether a name is one of these distributions.
ws_knows() {
    case " $WS_DISTRIBUTIONS " in
        *" $1 "*) [ -n "$1" ] ;;
        *) return 1 ;;
    esac
}

# Prints "<name> <setup file>" of the installed ROS 2 that is to be used, or nothing. WS_ROS=none keeps to the wheels,
# WS_ROS=<name> asks for one; WS_ROS_ROOT says where distributions are installed (default /opt/ros).
ws_find_ros() {
    _ws_root="${WS_ROS_ROOT:-/opt/ros}"
    [ "${WS_ROS:-}" = none ] && return 0
    if [ -n "${WS_ROS:-}" ]; then
        ws_knows "$WS_ROS" && [ -e "$_ws_root/$WS_ROS/setup.sh" ] && echo "$WS_ROS $_ws_root/$WS_ROS"
        return 0
    fi
    if ws_knows "${ROS_DISTRO:-}" && [ -e "$_ws_root/$ROS_DISTRO/setup.sh" ]; then
        echo "$ROS_DISTRO $_ws_root/$ROS_DISTRO"
        return 0
    fi
    # A list in a variable does not split into words in zsh; a here-document reads the same in both shells.
    while read -r _ws_name; do
        if [ -e "$_ws_root/$_ws_name/setup.sh" ]; then
            echo "$_ws_name $_ws_root/$_ws_name"
            return 0
        fi
    done <<EOF
$(echo "$WS_DISTRIBUTIONS" | tr ' ' '\n')
EOF
    return 0
}
