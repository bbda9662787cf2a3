# SPDX-License-Identifier: Apache-2.0
"""Episodes on a running graph: ``RosCell``, which offers a graph as a ``grasp_core.cell.Cell``."""
