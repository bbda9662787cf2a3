# SPDX-License-Identifier: Apache-2.0
"""Learned grasping policies: one folder per system, and the node that serves a policy."""
