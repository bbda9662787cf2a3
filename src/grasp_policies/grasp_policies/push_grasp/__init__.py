# SPDX-License-Identifier: Apache-2.0
"""``push_grasp``: pushes and grasps chosen per pixel of a heightmap (Visual Pushing for Grasping, Zeng et al. 2018)."""
