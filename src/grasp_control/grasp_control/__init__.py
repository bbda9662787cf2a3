# SPDX-License-Identifier: Apache-2.0
"""Hardware: drivers of arms and grippers, and loopback controllers that speak their protocols."""
