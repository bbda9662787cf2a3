# SPDX-License-Identifier: Apache-2.0
"""Cameras: drivers found by name, streams that reconnect, calibration, and thin nodes over them."""
