# SPDX-License-Identifier: Apache-2.0
"""What the planners ask of a robot, and how a cell's ``RobotModel`` answers."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grasp_core.cell_config import ArmConfig, BoxRegion, CellConfig
from grasp_core.geometry import Array, invert
from grasp_core.planning import Box, Mesh, Obstacle
from grasp_description import RobotModel, load_cell

from .timing import MotionLimits

Pair = tuple[str, str]


@dataclass(frozen=True)
class Chain:
    """The joints that an arm's trajectories move, in order, with their ranges (rad or m) and motion limits, each [n].

    ``turns`` tells which of them are where they were after a full turn.
    """

    arm: str
    joints: tuple[str, ...]
    lower: Array
    upper: Array
    limits: MotionLimits
    turns: NDArray[np.bool_]

    def near(self, q: Array, other: Array) -> Array:
        """The same posture as ``q`` [n], every joint in the turn nearest to ``other`` [n] that its range allows."""
        turned = q - 2.0 * np.pi * np.round((q - other) / (2.0 * np.pi))
        fits = self.turns & (turned >= self.lower) & (turned <= self.upper)
        return np.where(fits, turned, q)


class Posture(Protocol):
    """An arm of a robot whose other joints stay where they are. Joint vectors are those of the arm's chain, [n]."""

    @property
    def chain(self) -> Chain:
        """The arm's joints."""
        ...

    def fk(self, q: Array) -> Array:
        """Pose ``T_base_tcp`` [4, 4] of the tool."""
        ...

    def named(self, q: Array) -> dict[str, float]:
        """Positions by name of all moving joints of the robot, the coupled ones included."""
        ...

    def jacobian(self, q: Array) -> Array:
        """Velocity of the tool per joint rate [6, n]: linear, then angular, in base axes."""
        ...

    def ik(self, T_base_tcp: Array, seed: Array, rng: np.random.Generator | None = None) -> Array | None:
        """Joints that put the tool there, near ``seed``; with ``rng`` from random seeds too. None without any."""
        ...

    def contacts(
        self,
        q: Array,
        environment: bool = True,
        allowed: frozenset[str] = frozenset(),
        first_only: bool = True,
        margin_m: float = 0.0,
    ) -> tuple[Pair, ...]:
        """Pairs of bodies that touch; ``first_only`` stops at the first.

        Towards what stands around the robot, nearer than ``margin_m`` counts as touching.
        """
        ...

    def outside_m(self, q: Array, margin_m: float = 0.0) -> float:
        """How far the tool's origin is outside of the cell's motion box, in which the guard keeps it; 0 inside.

        The box is smaller by ``margin_m`` on every side.
        """
        ...


class PlanningModel(Protocol):
    """A cell's robot and the obstacles around it. Used by one thread at a time."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms; the first is the default."""
        ...

    def chain(self, arm: str | None) -> Chain:
        """An arm's joints.

        Raises:
            KeyError: no such arm.
        """
        ...

    def posture(self, arm: str | None, joints: Mapping[str, float]) -> Posture:
        """An arm whose other joints stay where ``joints`` says; those not named stand at the robot's ready state.

        Raises:
            KeyError: no such arm.
        """
        ...

    def set_obstacles(self, obstacles: tuple[Obstacle, ...]) -> None:
        """Replace the obstacles beyond the cell's own furniture.

        Raises:
            ValueError: two share a name, or one has a link's name.
        """
        ...

    def set_held(self, arm: str | None, held: tuple[Box, ...]) -> None:
        """Replace what an arm's hand carries: boxes that move with its tool, each pose in the tool's frame.

        Raises:
            KeyError: no such arm.
            ValueError: two share a name, or one has a link's or an obstacle's name.
        """
        ...


class CellModel:
    """A cell's robot on a ``RobotModel``.

    Args:
        robot: the cell's model, used by nobody else at the same time.
        config: the cell's configuration.
        furniture: links of the model that belong to the environment, not to the robot.
    """

    def __init__(self, robot: RobotModel, config: CellConfig, furniture: Iterable[str] = ()) -> None:
        self.robot = robot
        self.config = config
        self.furniture = frozenset(furniture)
        self.T_world_base = robot.fk(robot.neutral, config.base_frame)
        self.T_base_world = invert(self.T_world_base)
        self._chains = {name: self._make_chain(name) for name in config.arms}
        self._held: dict[str, tuple[str, ...]] = {}
        robot.collision.keep_clear_of(self.furniture)

    @classmethod
    def from_config(cls, config: CellConfig) -> CellModel:
        """Build the model that a cell's configuration describes."""
        arguments = config.description.arguments
        robot = RobotModel.from_cell(config.name, **arguments)
        root = load_cell(config.name).robot_spec(arguments).root
        return cls(robot, config, furniture(robot, arguments.get("prefix", "") + root))

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms; the first is the default."""
        return tuple(self._chains)

    def chain(self, arm: str | None) -> Chain:
        """An arm's joints; raises KeyError for an unknown one."""
        return self._chains[self.config.arm(arm)[0]]

    def posture(self, arm: str | None, joints: Mapping[str, float]) -> CellPosture:
        """An arm whose other joints stay where ``joints`` says; joints that the model lacks are left out."""
        known = {name: value for name, value in joints.items() if name in self.robot.joint_names}
        return CellPosture(self, self.chain(arm), self.robot.vector(known))

    def set_obstacles(self, obstacles: tuple[Obstacle, ...]) -> None:
        """Replace the obstacles, given in the cell's base frame."""
        self.robot.collision.set_obstacles([self._in_world(o) for o in obstacles])

    def set_held(self, arm: str | None, held: tuple[Box, ...]) -> None:
        """Replace what an arm's hand carries; the hand itself may touch it.

        Raises:
            KeyError: no such arm.
            ValueError: two share a name, or one has a link's or an obstacle's name.
        """
        name, settings = self.config.arm(arm)
        collision = self.robot.collision
        others = {held for arm, names in self._held.items() if arm != name for held in names}
        names = [box.name for box in held]
        if len(set(names)) < len(names) or set(names) & {*collision.links, *collision.obstacles, *others}:
            raise ValueError(
                f"names of held boxes must differ from links, obstacles and each other: {', '.join(names)}"
            )
        for old in self._held.pop(name, ()):
            collision.detach(old)
        hand = self.robot.tree.below(self._hand_root(settings))
        for box in held:
            collision.attach(box.name, box.size_m, box.T_base_box, settings.tcp_frame, hand)
        self._held[name] = tuple(names)

    def _hand_root(self, settings: ArmConfig) -> str:
        prefix = self.config.description.arguments.get("prefix", "")
        effectors = load_cell(self.config.name).end_effectors
        return next(
            prefix + item.parent_link for item in effectors if item.arm == settings.group or len(effectors) == 1
        )

    def _in_world(self, obstacle: Obstacle) -> Obstacle:
        if isinstance(obstacle, Box):
            return replace(obstacle, T_base_box=self.T_world_base @ obstacle.T_base_box)
        if isinstance(obstacle, Mesh):
            return replace(obstacle, T_base_mesh=self.T_world_base @ obstacle.T_base_mesh)
        return replace(obstacle, T_base_grid=self.T_world_base @ obstacle.T_base_grid)

    def _make_chain(self, arm: str) -> Chain:
        robot, joints = self.robot, self.config.arms[arm].joints
        at = [robot.index(joint) for joint in joints]
        limits = MotionLimits(robot.velocity_limit[at], robot.acceleration_limit[at], robot.jerk_limit[at])
        kinds = [robot.pin_model.joints[robot.pin_model.getJointId(joint)].shortname() for joint in joints]
        turns = np.array(["Prismatic" not in kind for kind in kinds])
        return Chain(arm, joints, robot.lower[at], robot.upper[at], limits, turns)


class CellPosture:
    """An arm of a ``CellModel`` whose other joints stand still."""

    def __init__(self, model: CellModel, chain: Chain, full: Array) -> None:
        arm = model.config.arms[chain.arm]
        self._model, self._robot = model, model.robot
        self._chain, self._group, self._frame = chain, arm.group, arm.tcp_frame
        self._full = full
        self._at = np.array([self._robot.index(joint) for joint in chain.joints])
        group = self._robot.group(arm.group)
        if set(group.joints) != set(chain.joints):
            raise ValueError(
                f"arm {chain.arm} moves {', '.join(chain.joints)}, its group {arm.group} has {', '.join(group.joints)}"
            )
        self._columns = [group.joints.index(joint) for joint in chain.joints]

    @property
    def chain(self) -> Chain:
        """The arm's joints."""
        return self._chain

    def full(self, q: Array) -> Array:
        """All joints of the robot with the arm's at ``q``."""
        joints = self._full.copy()
        joints[self._at] = q
        return joints

    def fk(self, q: Array) -> Array:
        """Pose ``T_base_tcp`` [4, 4] of the tool."""
        return self._model.T_base_world @ self._robot.fk(self.full(q), self._frame)

    def named(self, q: Array) -> dict[str, float]:
        """Positions by name of all moving joints of the robot, the coupled ones included."""
        return self._robot.positions(self.full(q))

    def jacobian(self, q: Array) -> Array:
        """Velocity of the tool per joint rate [6, n], in base axes."""
        J = self._robot.jacobian(self.full(q), self._frame, self._group)[:, self._columns]
        R = self._model.T_base_world[:3, :3]
        return np.concatenate([R @ J[:3], R @ J[3:]])

    def ik(self, T_base_tcp: Array, seed: Array, rng: np.random.Generator | None = None) -> Array | None:
        """Joints that put the tool there, or none."""
        T_world_tcp = self._model.T_world_base @ T_base_tcp
        restarts = {} if rng is not None else {"restarts": 0, "towards_ready": False}
        found = self._robot.ik(T_world_tcp, self.full(seed), self._group, frame=self._frame, rng=rng, **restarts)
        return found.q[self._at] if found.success else None

    def contacts(
        self,
        q: Array,
        environment: bool = True,
        allowed: frozenset[str] = frozenset(),
        first_only: bool = True,
        margin_m: float = 0.0,
    ) -> tuple[Pair, ...]:
        """Pairs of bodies that touch, or nearly touch."""
        if not environment:
            allowed, margin_m = allowed | self._model.furniture, 0.0
        return self._robot.collision.check(
            self.full(q), environment=environment, allowed=allowed, first_only=first_only, margin_m=margin_m
        ).pairs

    def outside_m(self, q: Array, margin_m: float = 0.0) -> float:
        """How far the tool's origin is outside of the cell's motion box, made smaller by a margin; 0 inside."""
        return outside_m(self._model.config.limits.motion_box, self.fk(q)[:3, 3], margin_m)


def outside_m(box: BoxRegion, point: Array, margin_m: float) -> float:
    """Distance of a point [3] from a box that is smaller by a margin on every side; 0 inside."""
    inner = np.clip(point, np.array(box.min_m) + margin_m, np.array(box.max_m) - margin_m)
    return float(np.linalg.norm(point - inner))


def furniture(robot: RobotModel, root: str) -> frozenset[str]:
    """Links with a collision shape that do not hang below the link ``root`` of the robot."""
    parents = {}
    for joint in ElementTree.fromstring(robot.urdf).findall("joint"):
        child, parent = joint.find("child"), joint.find("parent")
        if child is not None and parent is not None:
            parents[child.get("link", "")] = parent.get("link", "")

    def below(link: str) -> bool:
        while link != root:
            if link not in parents:
                return False
            link = parents[link]
        return True

    return frozenset(link for link in robot.collision.links if not below(link))
