# SPDX-License-Identifier: Apache-2.0
"""Where the objects of each kind of scene go, and the furniture that a scene brings along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_core import resources
from grasp_core.cell import SceneError
from grasp_core.cell_config import BoxRegion
from grasp_core.geometry import Array, apply, transform
from grasp_sim.objects.meshes import prepare
from grasp_sim.objects.models import BrokenModelError, MeshShape, ObjectModel
from grasp_sim.objects.sets import load_object_set
from grasp_sim.scenes.case_frames import R_mesh_case
from grasp_sim.scenes.cases import CASE_MAX, CASE_MIN, CaseObject, T_base_case, read_case
from grasp_sim.scenes.config import Container, SceneConfig, Sheet
from grasp_sim.scenes.events import Hooks, SheetPull
from grasp_sim.world import SimObject, World

FAR_AWAY = transform((0.0, 0.0, 30.0))
CASE_DENSITY_KG_M3 = 500.0
CASE_SINK_M = 0.006
CASE_MOTION_TRIES = 20


def drop_area(
    world: World, scene: SceneConfig, rng: np.random.Generator, region: BoxRegion
) -> Callable[[SimObject], Array]:
    """A function that draws poses to drop an object from: over the region, or over the scene's own container."""
    T_base_area = transform([*_centre(region)[:2], world.config.support_z_m])
    half = 0.5 * (np.array(region.max_m[:2]) - np.array(region.min_m[:2]))
    if scene.container is not None:
        T_base_area = _container(world, scene.container, rng, region)
        half = 0.5 * np.array([scene.container.length_m, scene.container.width_m]) - scene.container.wall_m

    def draw(thing: SimObject) -> Array:
        radius = 0.5 * float(np.linalg.norm(thing.model.extents_m))
        reach = np.maximum(half - min(radius, 0.6 * float(half.min())), 0.2 * half)
        xy = rng.uniform(-reach, reach)
        point = apply(T_base_area, [*xy, 0.0])
        top = _top_at(world, point, radius)
        return transform([point[0], point[1], max(top, point[2]) + radius + scene.drop_m], Rotation.random(rng=rng))

    return draw


def rows(
    world: World, scene: SceneConfig, rng: np.random.Generator, models: list[ObjectModel], region: BoxRegion
) -> None:
    """Objects side by side in two rows, touching, their longest edge along the row's depth."""
    per_row = (len(models) + 1) // 2
    turn = Rotation.from_euler("z", float(rng.uniform(-scene.row_turn_rad, scene.row_turn_rad)))
    centre = np.array([*_centre(region)[:2], world.config.support_z_m])
    depth = 0.0
    for row in (models[:per_row], models[per_row:]):
        if not row:
            continue
        widths = [model.extents_m[1] for model in row]
        length = sum(widths) + scene.gap_m * (len(row) - 1)
        y = -0.5 * length
        depth_here = max(model.extents_m[0] for model in row)
        for model, width in zip(row, widths, strict=True):
            x = depth + 0.5 * model.extents_m[0] - (0.5 * depth_here if len(models) == per_row else 0.0)
            offset = turn.apply([x, y + 0.5 * width, 0.5 * model.extents_m[2] + 0.001])
            world.add(model, transform(centre + offset, turn))
            y += width + scene.gap_m
        depth += depth_here + scene.gap_m


def single(world: World, rng: np.random.Generator, model: ObjectModel, region: BoxRegion) -> None:
    """One object upright at a random place and yaw."""
    low, high = np.array(region.min_m[:2]), np.array(region.max_m[:2])
    xy = rng.uniform(low, high)
    z = world.config.support_z_m + 0.5 * model.extents_m[2] + 0.002
    world.add(model, transform([*xy, z], Rotation.from_euler("z", float(rng.uniform(-np.pi, np.pi)))))


def case(world: World, scene: SceneConfig, rng: np.random.Generator) -> None:
    """An arrangement from a file."""
    assert scene.case is not None
    path = Path(scene.case).expanduser()
    if not path.is_absolute():
        try:
            path = resources.find("config", f"scenes/cases/{scene.case}")
        except resources.ResourceError as error:
            raise SceneError(str(error)) from error
    T_base = T_base_case(world.config.limits.workspace, world.config.support_z_m)
    entries = read_case(path)
    T_base = T_base @ _whole_motion(entries, scene, rng)
    for entry in entries:
        file = path.parent / "blocks" / entry.mesh
        T_base_object = T_base @ entry.T_case_object
        if file.is_file():
            T_base_object = T_base_object @ transform((0.0, 0.0, 0.0), R_mesh_case(file).T)
        thing = world.add(_case_model(entry, file, rng), T_base_object)
        # What is too low is raised until it stands.
        sunk = world.config.support_z_m - world.api.getAABB(thing.body)[0][2]
        if sunk > CASE_SINK_M:
            world.place(thing, transform((0.0, 0.0, sunk)) @ T_base_object)


def _whole_motion(entries: list[CaseObject], scene: SceneConfig, rng: np.random.Generator) -> Array:
    """A small motion of the whole arrangement in its own frame, that leaves every object in the workspace."""
    middle = np.mean([entry.T_case_object[:3, 3] for entry in entries], axis=0)
    if scene.shift_m == 0.0 and scene.turn_rad == 0.0:
        return np.eye(4)
    for _ in range(CASE_MOTION_TRIES):
        turn = Rotation.from_euler("z", rng.uniform(-scene.turn_rad, scene.turn_rad))
        shift = np.array([*rng.uniform(-scene.shift_m, scene.shift_m, 2), 0.0])
        T = transform(middle + shift - turn.apply(middle), turn)
        points = np.array([apply(T, entry.T_case_object[:3, 3]) for entry in entries])
        if np.all((points[:, :2] >= CASE_MIN[:2]) & (points[:, :2] <= CASE_MAX[:2])):
            return T
    return np.eye(4)


def wall(world: World, scene: SceneConfig, rng: np.random.Generator, models: list[ObjectModel]) -> None:
    """A panel across the far side of the workspace, objects hung side by side on its front."""
    assert scene.wall is not None
    settings, box = scene.wall, world.config.limits.workspace
    api = world.api
    centre = _centre(box)
    # Far side: the one that looks away from the base frame's origin.
    outward = np.array([*centre[:2], 0.0]) / max(float(np.linalg.norm(centre[:2])), 1e-9)
    side = np.cross([0.0, 0.0, 1.0], outward)
    half_depth = 0.5 * abs(float((np.array(box.max_m) - np.array(box.min_m)) @ np.abs(outward)))
    half_width = 0.5 * abs(float((np.array(box.max_m) - np.array(box.min_m)) @ np.abs(side)))
    front = np.array([*centre[:2], world.config.support_z_m]) + (half_depth - settings.distance_m) * outward
    height = settings.height_m[1] + 0.12
    size = [0.01, half_width, 0.5 * height]
    yaw = Rotation.from_euler("z", float(np.arctan2(outward[1], outward[0])))
    shape = api.createCollisionShape(api.GEOM_BOX, halfExtents=size)
    look = api.createVisualShape(api.GEOM_BOX, halfExtents=size, rgbaColor=[0.78, 0.80, 0.83, 1.0])
    middle = front + 0.01 * outward + [0.0, 0.0, 0.5 * height]
    world.extra_bodies["wall"] = int(api.createMultiBody(0.0, shape, look, middle.tolist(), yaw.as_quat().tolist()))
    hooks = Hooks(settings.hold_n, settings.release_m)
    slots = np.linspace(-1.0, 1.0, len(models) + 2)[1:-1] * half_width * scene.region_share
    for model, slot in zip(models, rng.permutation(slots), strict=True):
        order = np.argsort(model.extents_m)
        # The thinnest edge points out of the wall, the longest hangs down.
        axes = np.zeros((3, 3))
        axes[:, order[0]], axes[:, order[2]] = outward, [0.0, 0.0, 1.0]
        axes[:, order[1]] = np.cross(axes[:, (order[1] + 1) % 3], axes[:, (order[1] + 2) % 3])
        z = float(rng.uniform(*settings.height_m))
        point = front - (0.5 * model.extents_m[order[0]] + 0.001) * outward + slot * side + [0.0, 0.0, z]
        hooks.hang(world, world.add(model, transform(point, axes)))
    world.events.append(hooks)


def sheet(world: World, settings: Sheet, rng: np.random.Generator, region: BoxRegion) -> None:
    """A sheet in the middle of the region; it is pulled once, some time after the first action."""
    centre = np.array([*_centre(region)[:2], world.config.support_z_m])
    world.events.append(SheetPull(world, settings, centre, rng))


def _container(world: World, container: Container, rng: np.random.Generator, region: BoxRegion) -> Array:
    api = world.api
    tilt = float(rng.uniform(*container.tilt_rad))
    towards = float(rng.uniform(-np.pi, np.pi))
    lean = Rotation.from_euler("z", towards) * Rotation.from_euler("y", tilt) * Rotation.from_euler("z", -towards)
    length, width, depth, wall = container.length_m, container.width_m, container.depth_m, container.wall_m
    boxes = [((0.0, 0.0, -0.5 * wall), (length + 2 * wall, width + 2 * wall, wall))]
    for sign in (-1.0, 1.0):
        boxes.append(((sign * 0.5 * (length + wall), 0.0, 0.5 * depth), (wall, width + 2 * wall, depth)))
        boxes.append(((0.0, sign * 0.5 * (width + wall), 0.5 * depth), (length, wall, depth)))
    centres = [list(centre) for centre, _ in boxes]
    halves = [[0.5 * v for v in size] for _, size in boxes]
    n = len(boxes)
    shape = api.createCollisionShapeArray([api.GEOM_BOX] * n, halfExtents=halves, collisionFramePositions=centres)
    look = api.createVisualShapeArray([api.GEOM_BOX] * n, halfExtents=halves, visualFramePositions=centres)
    corners = np.array([[sx * 0.5 * length, sy * 0.5 * width, -wall] for sx in (-1, 1) for sy in (-1, 1)])
    lowest = float(lean.apply(corners)[:, 2].min())
    z = world.config.support_z_m + float(rng.uniform(*container.raise_m)) - lowest
    T_base_bin = transform([*_centre(region)[:2], z], lean)
    body = int(api.createMultiBody(0.0, shape, look, T_base_bin[:3, 3].tolist(), lean.as_quat().tolist()))
    api.changeVisualShape(body, -1, rgbaColor=[0.35, 0.45, 0.55, 1.0])
    api.changeDynamics(body, -1, lateralFriction=world.engine.settings.static_friction)
    world.extra_bodies["container"] = body
    return T_base_bin


def _top_at(world: World, point: Array, radius: float) -> float:
    """Height of the highest object near a place, or the support's."""
    tops = [world.config.support_z_m]
    for thing in world.present():
        low, high = world.api.getAABB(thing.body)
        near = np.all(np.array(low[:2]) < point[:2] + radius) and np.all(np.array(high[:2]) > point[:2] - radius)
        # What waits far above to be dropped is not in the scene yet.
        if near and high[2] < world.config.support_z_m + 1.5:
            tops.append(high[2])
    return float(max(tops))


def _case_model(entry: CaseObject, file: Path, rng: np.random.Generator) -> ObjectModel:
    if not file.is_file():
        name = entry.mesh.removesuffix(".obj")
        ours = load_object_set("tiles" if name in load_object_set("tiles").names else "blocks")
        return _coloured(ours.model(name, rng), entry)
    data = prepare(file, exact=True)
    if not np.isfinite(data.volume):
        raise BrokenModelError(f"{file}: encloses no volume")
    centre = 0.5 * (data.low + data.high)
    extents = data.high - data.low
    mass = CASE_DENSITY_KG_M3 * data.volume
    return ObjectModel(
        entry.mesh,
        MeshShape(data.visual, data.convex_parts, (1.0, 1.0, 1.0), tuple((-centre).tolist())),
        tuple(extents.tolist()),
        mass,
        tuple((data.com - centre).tolist()),
        tuple((data.inertia_per_mass * mass).tolist()),
        entry.colour,
    )


def _coloured(model: ObjectModel, entry: CaseObject) -> ObjectModel:
    return replace(model, colour=entry.colour)


def _centre(region: BoxRegion) -> Array:
    return 0.5 * (np.array(region.min_m) + np.array(region.max_m))
