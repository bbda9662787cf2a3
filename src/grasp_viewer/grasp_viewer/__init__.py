# SPDX-License-Identifier: Apache-2.0
"""A running cell in the browser."""
