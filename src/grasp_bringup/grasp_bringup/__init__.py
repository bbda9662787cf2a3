# SPDX-License-Identifier: Apache-2.0
"""The pieces that launch files are made of."""
