# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of episodes share: a launched graph that is watched, the same episodes without ROS, tables."""
