# SPDX-License-Identifier: Apache-2.0
"""What a scene brings along and what stands still in it, as a planner wants to know it."""

from __future__ import annotations

from grasp_core.geometry import transform
from grasp_core.planning import Box
from grasp_sim.world import World


def scene_obstacles(world: World) -> tuple[Box, ...]:
    """The boxes that a scene's fixed bodies consist of (a wall, a bin's sides), in the base frame.

    What can move (a sheet under the pile) is left out: hands come near to it on purpose.

    Raises:
        ValueError: a fixed body has a shape other than a box.
    """
    api, boxes = world.api, []
    for name, body in world.extra_bodies.items():
        if api.getDynamicsInfo(body, -1)[0] > 0.0:
            continue
        T_base_body = transform(*api.getBasePositionAndOrientation(body))
        shapes = api.getCollisionShapeData(body, -1)
        for index, (_, _, kind, size_m, _, position, quaternion) in enumerate(shapes):
            if kind != api.GEOM_BOX:
                raise ValueError(f"the scene's {name} has a shape of kind {kind}; planners are told of boxes only")
            label = f"scene_{name}" if len(shapes) == 1 else f"scene_{name}_{index}"
            boxes.append(Box(label, T_base_body @ transform(position, quaternion), tuple(size_m)))
    return tuple(boxes)
