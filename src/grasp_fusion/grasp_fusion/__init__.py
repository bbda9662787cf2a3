# SPDX-License-Identifier: Apache-2.0
"""Fusion of depth images into a volume, and pictures of it from where no camera stood."""
