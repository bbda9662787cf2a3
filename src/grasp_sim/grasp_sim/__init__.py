# SPDX-License-Identifier: Apache-2.0
"""Simulated robot cells on PyBullet. Layers: engine and world, controllers, cameras, scenes, and on top the cell."""
