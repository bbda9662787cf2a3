# SPDX-License-Identifier: Apache-2.0
"""The cells that launch files can start."""

from __future__ import annotations

from grasp_core import resources
from grasp_core.cell_config import CellConfig


def load_cell(name: str) -> CellConfig:
    """The cell of that name in config/cells.

    Raises:
        LookupError: there is none; the message lists those that there are.
    """
    known = resources.names("config", "cells")
    if name not in known:
        raise LookupError(f"there is no cell {name!r}; there is {', '.join(known)}")
    return CellConfig.from_yaml(resources.find("config", f"cells/{name}.yaml"))
