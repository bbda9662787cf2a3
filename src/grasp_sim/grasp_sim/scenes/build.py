# SPDX-License-Identifier: Apache-2.0
"""Puts a scene into a world: spawn, let it settle, respawn or count what fell out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from grasp_core.cell import SceneError
from grasp_core.cell_config import BoxRegion
from grasp_core.geometry import Array, apply, invert, transform
from grasp_sim.objects import BrokenModelError, ObjectSet, load_object_set
from grasp_sim.objects.sets import Split
from grasp_sim.scenes import layouts, packs
from grasp_sim.scenes.config import Container, SceneConfig
from grasp_sim.world import SimObject, World

# How far outside of the workspace an object may lie and still count as in the scene (m).
OUTSIDE_MARGIN_M = 0.03
# Objects that were put in place may touch or overlap a little: for this long they come apart without gaining speed (s).
RELAX_S = 0.2
PLACED = ("rows", "pack", "case", "single")


@dataclass
class SceneReport:
    """What became of a scene.

    Attributes:
        count: objects in the scene when it was ready.
        respawned: how often an object fell out and was dropped again.
        lost: names of objects given up.
        settled: whether everything rested before the time limit.
        settle_s: simulated time that it took.
        filtered: objects that their set left out (too thin, broken).
    """

    count: int = 0
    respawned: int = 0
    lost: list[str] = field(default_factory=list)
    settled: bool = False
    settle_s: float = 0.0
    filtered: int = 0


def region_of(world: World, scene: SceneConfig) -> BoxRegion:
    """The part of the cell's workspace that objects are put into, standing on the support."""
    box = world.config.limits.workspace
    low, high = np.array(box.min_m), np.array(box.max_m)
    centre, half = 0.5 * (low + high), 0.5 * (high - low)
    half[:2] *= scene.region_share
    low, high = centre - half, centre + half
    return BoxRegion(
        min_m=(float(low[0]), float(low[1]), world.config.support_z_m),
        max_m=(float(high[0]), float(high[1]), max(float(high[2]), world.config.support_z_m + 0.1)),
    )


def build_scene(
    world: World,
    scene: SceneConfig,
    rng: np.random.Generator,
    objects: str | None = None,
    split: Split = "all",
    count: tuple[int, int] | None = None,
) -> SceneReport:
    """Fill an empty world; returns when everything rests.

    Args:
        world: just reset.
        scene: what to make.
        rng: all randomness.
        objects, split, count: in place of the scene's.

    Raises:
        SceneError: no object can be used, or none stayed.
    """
    low, high = count or scene.count
    number = int(rng.integers(low, high + 1))
    objects_set = load_object_set(objects or scene.objects, split)
    region = region_of(world, scene)
    try:
        drop_again = _spawn(world, scene, rng, objects_set, region, number)
    except BrokenModelError as error:
        raise SceneError(str(error)) from error
    report = SceneReport()
    start_s = world.time_s
    if scene.kind in PLACED:
        relax(world)
    for attempt in range(scene.respawn + 1):
        report.settled = settle(world, scene)
        fallen = [thing for thing in world.present() if not _stayed(world, scene, thing)]
        if not fallen:
            break
        for thing in fallen:
            if attempt < scene.respawn and drop_again is not None:
                drop_again(thing)
                report.respawned += 1
            else:
                world.park(thing)
                report.lost.append(thing.name)
    report.settle_s = world.time_s - start_s
    report.count = len(world.present())
    report.filtered = objects_set.filtered
    if report.count == 0:
        raise SceneError(f"all {number} objects fell out of the workspace")
    world.forget_pictures()
    return report


def in_scene(world: World, thing: SimObject, margin_m: float = OUTSIDE_MARGIN_M) -> bool:
    """Whether an object lies in the workspace or at most ``margin_m`` outside of it, on or above the support."""
    box = world.config.limits.workspace
    position = world.pose_of(thing)[:3, 3]
    inside = np.all(position[:2] >= np.array(box.min_m[:2]) - margin_m) and np.all(
        position[:2] <= np.array(box.max_m[:2]) + margin_m
    )
    return bool(inside and position[2] > world.config.support_z_m - 0.02)


def relax(world: World, duration_s: float = RELAX_S) -> None:
    """Let objects that overlap come apart, and stand on what is under them, stopped after every step.

    What is pushed out of a neighbour moves by about the depth of the overlap instead of flying off.
    """
    for _ in range(round(duration_s * world.engine.settings.step_hz)):
        world.step()
        for thing in world.present():
            world.api.resetBaseVelocity(thing.body, [0.0] * 3, [0.0] * 3)


def _on_the_robot(world: World, thing: SimObject) -> bool:
    """Whether an object lies on the arm that waits above the table, or is caught between its links."""
    return bool(world.api.getContactPoints(world.robot.body, thing.body))


def _stayed(world: World, scene: SceneConfig, thing: SimObject) -> bool:
    if _on_the_robot(world, thing):
        return False
    if scene.container is not None:
        return _in_its_container(world, thing, scene.container)
    return in_scene(world, thing, -scene.inset_m if scene.kind == "drop" else OUTSIDE_MARGIN_M)


def _in_its_container(world: World, thing: SimObject, container: Container) -> bool:
    position, quaternion = world.api.getBasePositionAndOrientation(world.extra_bodies["container"])
    point = apply(invert(transform(position, quaternion)), world.pose_of(thing)[:3, 3])
    return bool(
        abs(point[0]) <= 0.5 * container.length_m and abs(point[1]) <= 0.5 * container.width_m and point[2] > 0.0
    )


def settle(world: World, scene: SceneConfig) -> bool:
    """Step until every object rests; false where the limit came first."""
    quiet_steps = 0

    def quiet() -> bool:
        nonlocal quiet_steps
        if world.engine.steps % 4:
            return False
        calm = all(
            linear < scene.rest_m_s and angular < 20.0 * scene.rest_m_s
            for linear, angular in map(world.speed_of, world.present())
        )
        quiet_steps = quiet_steps + 1 if calm else 0
        return quiet_steps >= 5

    return world.step_until(quiet, scene.settle_s)


def _spawn(
    world: World, scene: SceneConfig, rng: np.random.Generator, objects: ObjectSet, region: BoxRegion, number: int
) -> Callable[[SimObject], None] | None:
    if scene.kind == "case":
        layouts.case(world, scene, rng)
        return None
    if scene.kind == "wall":
        layouts.wall(world, scene, rng, objects.sample(rng, number))
        return None
    if scene.kind == "rows":
        layouts.rows(world, scene, rng, objects.sample(rng, number), region)
        return None
    if scene.kind == "pack":
        others = objects.sample(rng, scene.pack.alone[1]) if scene.pack.alone[1] else []
        packs.pack(world, scene.pack, scene.gap_m, rng, others, number, region)
        return None
    if scene.kind == "single":
        layouts.single(world, rng, objects.sample(rng, 1)[0], region)
        return None
    place: Callable[[SimObject], Array] = layouts.drop_area(world, scene, rng, region)
    if scene.sheet is not None:
        layouts.sheet(world, scene.sheet, rng, region)

    def drop(thing: SimObject) -> None:
        world.place(thing, place(thing))

    for model in objects.sample(rng, number):
        thing = world.add(model, layouts.FAR_AWAY)
        drop(thing)
        # Each lands before the next is dropped on it.
        world.step(round(0.15 * world.engine.settings.step_hz))
    return drop
