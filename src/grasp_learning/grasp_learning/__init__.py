# SPDX-License-Identifier: Apache-2.0
"""Replay, collection, training and evaluation of any policy in any cell, without ROS."""
