# SPDX-License-Identifier: Apache-2.0
"""Shapes of our own robot meshes, one module a robot; `scripts/make_meshes.py` writes them."""
