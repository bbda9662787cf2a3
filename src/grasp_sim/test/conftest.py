# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from grasp_sim.cell import SimCell


@pytest.fixture(scope="session")
def ur5():
    """One cell for the tests that reset it anyway; small pictures, software renderer."""
    cell = SimCell(
        "ur5",
        renderer="tiny",
        cameras=("fixed_camera",),
        sizes={"fixed_camera": (160, 120)},
        speed_scale=0.6,
    )
    yield cell
    cell.close()
