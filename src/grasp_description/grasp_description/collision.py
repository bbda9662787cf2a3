# SPDX-License-Identifier: Apache-2.0
"""Collision checking of one robot model against itself and against named obstacles, on Coal through Pinocchio."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import coal
import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from grasp_core.planning import Box, Mesh, Obstacle, VoxelGrid

Pair = tuple[str, str]


@dataclass(frozen=True)
class CollisionReport:
    """Which bodies touch: pairs of link or obstacle names, each sorted, in a fixed order; empty when free."""

    pairs: tuple[Pair, ...]

    def __bool__(self) -> bool:
        """Whether anything touches."""
        return bool(self.pairs)

    def __str__(self) -> str:
        """Say it in words."""
        return "free" if not self.pairs else "; ".join(f"{a} touches {b}" for a, b in self.pairs)


def _geometry(obstacle: Obstacle) -> tuple[coal.CollisionGeometry, NDArray[np.float64]]:
    """Coal shape of an obstacle and its pose in the root frame."""
    if isinstance(obstacle, Box):
        return coal.Box(*(float(edge) for edge in obstacle.size_m)), obstacle.T_base_box
    if isinstance(obstacle, Mesh):
        mesh = coal.BVHModelOBBRSS()
        mesh.beginModel(len(obstacle.triangles), len(obstacle.vertices))
        mesh.addVertices(np.asarray(obstacle.vertices, dtype=np.float64))
        mesh.addTriangles(np.asarray(obstacle.triangles, dtype=np.int64))
        mesh.endModel()
        return mesh, obstacle.T_base_mesh
    if isinstance(obstacle, VoxelGrid):
        cells = np.argwhere(obstacle.occupied)
        if len(cells) == 0:
            raise ValueError(f"voxel grid {obstacle.name} has no occupied cell; leave it out instead")
        # an octree's cells are aligned to multiples of its resolution: centres at odd half voxels stay what they are
        return coal.makeOctree((cells + 0.5) * obstacle.voxel_m, float(obstacle.voxel_m)), obstacle.T_base_grid
    raise TypeError(f"{type(obstacle).__name__} is no obstacle; give a Box, Mesh or VoxelGrid")


def box_obstacle(name: str, size_m: tuple[float, float, float], T_base_box: NDArray[np.float64]) -> Box:
    """Shorthand for `grasp_core.planning.Box`."""
    return Box(name=name, T_base_box=T_base_box, size_m=size_m)


def _checked_data(geometry: pin.GeometryModel) -> pin.GeometryData:
    """Data for checking a geometry model.

    Contacts are asked for although nobody reads them: without, Coal 3.0.3 stops early and misses cylinders that lie
    up to 4 cm inside each other. It takes no longer.
    """
    data = geometry.createData()
    for request in data.collisionRequests:
        request.enable_contact = True
    return data


class CollisionWorld:
    """The collision shapes of a model, the pairs to check, and obstacles. Not safe for use by two threads at once."""

    def __init__(
        self,
        model: pin.Model,
        urdf: str,
        disabled: Iterable[Pair],
        to_pin: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    ) -> None:
        """Build from URDF text.

        Args:
            model: the Pinocchio model of the same URDF.
            urdf: its text; collision shapes are primitives, so no mesh files are read.
            disabled: pairs of links that are not checked (from the SRDF).
            to_pin: turns the vector of actuated joints into the Pinocchio model's configuration.
        """
        self._model = model
        self._to_pin = to_pin
        self._data = model.createData()
        self._geometry = pin.buildGeomFromUrdfString(model, urdf, pin.GeometryType.COLLISION)
        self._links = [model.frames[g.parentFrame].name for g in self._geometry.geometryObjects]
        self._own = len(self._links)
        self._disabled = {tuple(sorted(pair)) for pair in disabled}
        self._obstacles: dict[str, Obstacle] = {}
        self._shapes: dict[str, tuple[coal.CollisionGeometry, NDArray[np.float64]]] = {}
        self._attached: dict[str, tuple[Box, str, frozenset[str]]] = {}
        self._surroundings: frozenset[str] = frozenset()
        self._rebuild()

    @property
    def links(self) -> tuple[str, ...]:
        """Links that have a collision shape."""
        return tuple(dict.fromkeys(self._links[: self._own]))

    @property
    def obstacles(self) -> Mapping[str, Obstacle]:
        """Obstacles by name."""
        return dict(self._obstacles)

    def moving_with(self, link: str) -> int:
        """Number of the joint that carries a link; 0 for what stands still."""
        return int(self._model.frames[self._frame(link)].parentJoint)

    def set_obstacles(self, obstacles: Iterable[Obstacle]) -> None:
        """Replace all obstacles.

        Raises:
            ValueError: two have one name, one has the name of a link or of what is attached, or one has no shape;
                the obstacles that were there then stay.
        """
        named: dict[str, Obstacle] = {}
        shapes = {}
        for obstacle in obstacles:
            if obstacle.name in named or obstacle.name in self.links or obstacle.name in self._attached:
                raise ValueError(
                    f"obstacle name {obstacle.name} is taken already; names must differ from each other, from links "
                    "and from what is held"
                )
            named[obstacle.name] = obstacle
            shapes[obstacle.name] = _geometry(obstacle)
        self._obstacles, self._shapes = named, shapes
        self._rebuild()

    def keep_clear_of(self, links: Iterable[str]) -> None:
        """Which links are surroundings: margins count towards these and the obstacles, not among the robot's own."""
        self._surroundings = frozenset(links)
        self._with_margin = {}

    def attach(
        self,
        name: str,
        size_m: tuple[float, float, float],
        T_link_box: NDArray[np.float64],
        link: str,
        touching: Iterable[str],
    ) -> None:
        """Let a box move with a link, as a held object does; `touching` are links or obstacles it may touch."""
        if not self._model.existFrame(link, pin.FrameType.BODY):
            raise KeyError(f"cannot attach {name}: the model has no link {link}")
        self._attached[name] = (
            Box(name=name, T_base_box=T_link_box, size_m=size_m),
            link,
            frozenset(touching) | {link},
        )
        self._rebuild()

    def detach(self, name: str) -> None:
        """Forget an attached box.

        Raises:
            KeyError: nothing of that name is attached.
        """
        if name not in self._attached:
            raise KeyError(f"nothing named {name} is attached; attached: {', '.join(self._attached) or 'nothing'}")
        del self._attached[name]
        self._rebuild()

    def check(
        self,
        q: NDArray[np.float64],
        *,
        environment: bool = True,
        allowed: frozenset[str] = frozenset(),
        first_only: bool = True,
        margin_m: float = 0.0,
    ) -> CollisionReport:
        """Which bodies touch at q [nq].

        Args:
            q: all actuated joints.
            environment: include obstacles; cell furniture is part of the model and always included.
            allowed: obstacles that may be touched.
            first_only: stop at the first pair (fast).
            margin_m: surroundings and obstacles (see ``keep_clear_of``) count as touched from this distance on.
        """
        own_only = not environment or not self._obstacles
        geometry, data = (self._own_geometry, self._own_data) if own_only else (self._geometry, self._geometry_data)
        if margin_m > 0.0:
            data = self._margin_data(own_only, geometry, margin_m)
        stop = first_only and not allowed
        if not pin.computeCollisions(self._model, self._data, geometry, data, self._to_pin(q), stop):
            return CollisionReport(())
        pairs: set[Pair] = set()
        for result, pair in zip(data.collisionResults, geometry.collisionPairs, strict=True):
            if result.isCollision():
                names = self._names(pair)
                if not allowed.intersection(names):
                    pairs.add(names)
                if stop:
                    # The pairs after the first one that touches were not looked at: theirs are results of old checks.
                    break
        return CollisionReport(tuple(sorted(pairs)))

    def distance(self, q: NDArray[np.float64], *, environment: bool = True) -> tuple[float, Pair]:
        """Smallest distance in metres (negative: penetration) over the checked pairs, and that pair."""
        own_only = not environment or not self._obstacles
        geometry, data = (self._own_geometry, self._own_data) if own_only else (self._geometry, self._geometry_data)
        if len(geometry.collisionPairs) == 0:
            raise ValueError("no pair of bodies is left to measure; all are disabled")
        nearest = pin.computeDistances(self._model, self._data, geometry, data, self._to_pin(q))
        pair = geometry.collisionPairs[nearest]
        first, second = sorted((self._links[pair.first], self._links[pair.second]))
        return float(data.distanceResults[nearest].min_distance), (first, second)

    def colliding_pairs(self, q: NDArray[np.float64]) -> set[Pair]:
        """All pairs of links that touch at q, the disabled ones too (for computing what to disable)."""
        pin.computeCollisions(self._model, self._data, self._all_geometry, self._all_data, self._to_pin(q), False)
        found: set[Pair] = set()
        for result, pair in zip(self._all_data.collisionResults, self._all_geometry.collisionPairs, strict=True):
            if result.isCollision():
                first, second = sorted((self._links[pair.first], self._links[pair.second]))
                found.add((first, second))
        return found

    def _margin_data(self, own_only: bool, geometry: Any, margin_m: float) -> Any:
        key = (own_only, margin_m)
        if key not in self._with_margin:
            data = _checked_data(geometry)
            around = self._surroundings | set(self._obstacles)
            for request, pair in zip(data.collisionRequests, geometry.collisionPairs, strict=True):
                if self._links[pair.first] in around or self._links[pair.second] in around:
                    request.security_margin = margin_m
            self._with_margin[key] = data
        return self._with_margin[key]

    def _names(self, pair: Any) -> Pair:
        first, second = sorted((self._links[pair.first], self._links[pair.second]))
        return first, second

    def _frame(self, link: str) -> int:
        # a joint of the same name may exist
        return int(self._model.getFrameId(link, pin.FrameType.BODY))

    def _rebuild(self) -> None:
        """Make the geometry models anew: own shapes with all pairs, with the checked pairs, and with obstacles."""
        self._with_margin: dict[tuple[bool, float], Any] = {}
        while self._geometry.ngeoms > self._own:
            self._geometry.removeGeometryObject(self._geometry.geometryObjects[self._geometry.ngeoms - 1].name)
        del self._links[self._own :]
        self._geometry.removeAllCollisionPairs()
        for i in range(self._own):
            for j in range(i + 1, self._own):
                if self._links[i] != self._links[j]:
                    self._geometry.addCollisionPair(pin.CollisionPair(i, j))
        self._all_geometry = self._geometry.copy()
        self._all_data = _checked_data(self._all_geometry)
        self._geometry.removeAllCollisionPairs()
        for i in range(self._own):
            for j in range(i + 1, self._own):
                if self._checked(i, j):
                    self._geometry.addCollisionPair(pin.CollisionPair(i, j))
        for name, (box, link, touching) in self._attached.items():
            self._add_attached(name, box, link, touching)
        self._own_geometry = self._geometry.copy()
        self._own_data = _checked_data(self._own_geometry)
        bodies = len(self._links)
        for name, (shape, T_base_shape) in self._shapes.items():
            placement = pin.SE3(np.asarray(T_base_shape, dtype=np.float64))
            index = self._geometry.addGeometryObject(pin.GeometryObject(f"obstacle/{name}", 0, 0, placement, shape))
            self._links.append(name)
            for i in range(bodies):
                touching_ok = self._links[i] in self._attached and name in self._attached[self._links[i]][2]
                if not touching_ok and int(self._geometry.geometryObjects[i].parentJoint) != 0:
                    self._geometry.addCollisionPair(pin.CollisionPair(i, index))
        self._geometry_data = _checked_data(self._geometry)

    def _add_attached(self, name: str, box: Box, link: str, touching: frozenset[str]) -> None:
        frame = self._model.frames[self._frame(link)]
        placement = frame.placement * pin.SE3(np.asarray(box.T_base_box, dtype=np.float64))
        shape = coal.Box(*(float(edge) for edge in box.size_m))
        body = pin.GeometryObject(f"attached/{name}", frame.parentJoint, self._frame(link), placement, shape)
        index = self._geometry.addGeometryObject(body)
        self._links.append(name)
        for i in range(self._own):
            same_body = int(self._geometry.geometryObjects[i].parentJoint) == int(frame.parentJoint)
            if not same_body and self._links[i] not in touching:
                self._geometry.addCollisionPair(pin.CollisionPair(i, index))

    def _checked(self, i: int, j: int) -> bool:
        first, second = self._geometry.geometryObjects[i], self._geometry.geometryObjects[j]
        if self._links[i] == self._links[j] or int(first.parentJoint) == int(second.parentJoint):
            return False
        return tuple(sorted((self._links[i], self._links[j]))) not in self._disabled
