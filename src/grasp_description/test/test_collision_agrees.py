# SPDX-License-Identifier: Apache-2.0
"""Whether bodies touch and how far they are apart come from two computations of Coal; they have to agree."""

from __future__ import annotations

import numpy as np
import pytest

from grasp_description import RobotModel


@pytest.mark.parametrize("cell", ["baxter", "iiwa", "staubli"])
def test_no_penetration_is_missed(cell: str) -> None:
    robot = RobotModel.from_cell(cell)
    rng = np.random.default_rng(0)
    penetrating = 0
    for _ in range(1000):
        q = robot.random_configuration(rng)
        depth, pair = robot.collision.distance(q)
        if depth < -1e-4:
            penetrating += 1
            assert robot.collision.check(q), f"{pair} penetrate by {-1e3 * depth:.1f} mm and were called free"
        elif depth > 1e-4:
            assert not robot.collision.check(q)
    assert penetrating > 50
