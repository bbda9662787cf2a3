# SPDX-License-Identifier: Apache-2.0
"""Upstream's XML and YAML front ends, which the stand-in does not have."""

from ._refusal import UnsupportedByStandInError

raise UnsupportedByStandInError(
    "The stand-in for 'launch' has no XML or YAML front end ('launch.frontend'): it runs Python launch files only. "
    "Install a ROS 2 distribution for the rest."
)
