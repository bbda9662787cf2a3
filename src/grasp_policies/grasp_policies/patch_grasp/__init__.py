# SPDX-License-Identifier: Apache-2.0
"""Planar grasps from patches of a table, learned by trying (Pinto and Gupta, Supersizing Self-supervision)."""
