# SPDX-License-Identifier: Apache-2.0
"""`RobotModel`: kinematics and collision of one cell, from its URDF and SRDF.

All poses are in the URDF's root frame, `world`. All arrays are float64; joint vectors hold every actuated joint (no
mimic joints) in the order of `joint_names` unless a group is named, then the group's joints in the group's order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pinocchio as pin
from numpy.typing import ArrayLike, NDArray

from grasp_core.geometry import check_rigid

from . import chain as kernels
from .cell_data import joint_limits, tool_frames
from .collision import CollisionWorld
from .ik import IkProblem, IkResult, search
from .resources import cell_srdf, cell_urdf
from .specs import JointLimits
from .srdf import Srdf, parse_srdf
from .tree import Chain, KinematicTree

Array = NDArray[np.float64]


@dataclass(frozen=True)
class JointGroup:
    """Joints that are planned for together.

    Attributes:
        joints: names, in the order of the group's vectors.
        indices: their places in the full joint vector, int [k].
        tip: the chain's tip link; empty where the group is no single chain.
        tcp: the frame that `ik` moves by default: the gripper's grasp_tcp where one is mounted, else the tip.
        states: named states, float64 [k] each.
    """

    name: str
    joints: tuple[str, ...]
    indices: NDArray[np.int64]
    tip: str
    tcp: str
    states: Mapping[str, Array]


class RobotModel:
    """Kinematics and collision of one cell. Not safe for use by two threads at once: make one per thread."""

    def __init__(
        self, urdf: str, srdf: str, limits: Mapping[str, JointLimits], tcp_of_group: Mapping[str, str]
    ) -> None:
        """Build from texts; `RobotModel.from_cell` is the usual way.

        Args:
            urdf: URDF text with a fixed root and one-degree-of-freedom joints.
            srdf: SRDF text of the same robot.
            limits: acceleration and jerk limits by joint name, all actuated joints.
            tcp_of_group: tool frame by group name.

        Raises:
            ValueError: the SRDF names something that the URDF lacks, or a joint has no limits.
        """
        self.urdf = urdf
        self.srdf: Srdf = parse_srdf(srdf)
        self.tree = KinematicTree(urdf)
        # Pinocchio's own mimic joints want an order that not every URDF has: couplings are written out here instead
        self.pin_model = pin.buildModelFromXML(urdf)
        moving: dict[int, str] = {}
        for name, joint in zip(self.pin_model.names[1:], list(self.pin_model.joints)[1:], strict=True):
            if joint.nq != 1:
                raise ValueError(
                    f"joint {name} ({joint.shortname()}) has {joint.nq} coordinates; use limited one-axis joints"
                )
            moving[joint.idx_q] = name
        self.joint_names: tuple[str, ...] = tuple(
            moving[i] for i in sorted(moving) if moving[i] not in self.tree.mimics
        )
        self._index = {name: i for i, name in enumerate(self.joint_names)}
        if missing := [name for name in self.joint_names if name not in limits]:
            raise ValueError(f"no limits given for joint {', '.join(missing)}")
        sources = [self.tree.mimics.get(moving[i], (moving[i], 1.0, 0.0)) for i in sorted(moving)]
        self._pin_source = np.array([self.index(of) for of, _, _ in sources], dtype=np.int64)
        self._pin_multiplier = np.array([multiplier for _, multiplier, _ in sources])
        self._pin_offset = np.array([offset for _, _, offset in sources])
        actuated = [i for i in sorted(moving) if moving[i] in self._index]
        self.lower: Array = np.array(self.pin_model.lowerPositionLimit, dtype=np.float64)[actuated]
        self.upper: Array = np.array(self.pin_model.upperPositionLimit, dtype=np.float64)[actuated]
        self.velocity_limit: Array = np.array([limits[name].velocity for name in self.joint_names])
        self.acceleration_limit: Array = np.array([limits[name].acceleration for name in self.joint_names])
        self.jerk_limit: Array = np.array([limits[name].jerk for name in self.joint_names])
        self.effort_limit: Array = np.array([limits[name].effort for name in self.joint_names])
        self.groups: Mapping[str, JointGroup] = {name: self._group(name, tcp_of_group) for name in self.srdf.groups}
        self.collision = CollisionWorld(self.pin_model, urdf, self.srdf.disabled, self.pin_q)
        self._chains: dict[str, Chain] = {}
        self.neutral: Array = self._neutral()

    @property
    def links(self) -> tuple[str, ...]:
        """All links and frames."""
        return self.tree.links

    @classmethod
    def from_cell(cls, cell: str, prefix: str = "", **arguments: str | float) -> RobotModel:
        """Build the model of a described cell, for instance `RobotModel.from_cell("ur5")`.

        Args:
            cell: one of `grasp_description.cells()`.
            prefix: put before every link and joint of the robot.
            arguments: more xacro arguments (camera poses, the iiwa's model, ...).
        """
        urdf, srdf = cell_urdf(cell, expand_uris=False, prefix=prefix, **arguments), cell_srdf(cell, prefix)
        return cls(urdf, srdf, joint_limits(cell, prefix, arguments), tool_frames(cell, prefix))

    # --- names and vectors ---

    def index(self, joint: str) -> int:
        """Place of a joint in the full vector.

        Raises:
            KeyError: there is no such actuated joint; the message lists them.
        """
        if joint not in self._index:
            raise KeyError(f"no actuated joint {joint}; there are {', '.join(self.joint_names)}")
        return self._index[joint]

    def group(self, name: str) -> JointGroup:
        """A group by name.

        Raises:
            KeyError: there is no such group; the message lists them.
        """
        if name not in self.groups:
            raise KeyError(f"no group {name}; there are {', '.join(self.groups)}")
        return self.groups[name]

    def state(self, name: str, group: str | None = None) -> Array:
        """Full vector [n] of a named state: of one group (others as in `neutral`) or of all groups that have it."""
        q = self.neutral.copy()
        chosen = [self.group(group)] if group else list(self.groups.values())
        found = [g for g in chosen if name in g.states]
        if not found:
            known = sorted({state for g in chosen for state in g.states})
            raise KeyError(f"no state {name}; there are {', '.join(known)}")
        for g in found:
            q[g.indices] = g.states[name]
        return q

    def pin_q(self, q: ArrayLike) -> Array:
        """Configuration of `pin_model` (couplings written out) for a full joint vector."""
        return self._pin_multiplier * self._full(q)[self._pin_source] + self._pin_offset

    def vector(self, positions: Mapping[str, float], q: ArrayLike | None = None) -> Array:
        """Full vector from positions by joint name, the rest from q (default `neutral`); coupled joints are ignored."""
        full = self.neutral.copy() if q is None else np.array(q, dtype=np.float64)
        for name, value in positions.items():
            if name in self._index:
                full[self._index[name]] = value
            elif name not in self.tree.mimics:
                self.index(name)
        return full

    def positions(self, q: ArrayLike) -> dict[str, float]:
        """Positions by name of all moving joints, the coupled ones included."""
        values = self._full(q)
        named = dict(zip(self.joint_names, values.tolist(), strict=True))
        for name, (of, multiplier, offset) in self.tree.mimics.items():
            named[name] = multiplier * named[of] + offset
        return named

    def within_limits(self, q: ArrayLike, margin: float = 0.0) -> bool:
        """Whether every joint lies inside of its limits by at least `margin` (rad or m)."""
        values = self._full(q)
        return bool(np.all(values >= self.lower + margin) and np.all(values <= self.upper - margin))

    def outside_limits(self, q: ArrayLike, tolerance: float = 1e-9) -> dict[str, tuple[float, float, float]]:
        """Joints outside of their limits: name to (position, lower, upper)."""
        values = self._full(q)
        wrong = np.flatnonzero((values < self.lower - tolerance) | (values > self.upper + tolerance))
        return {self.joint_names[i]: (float(values[i]), float(self.lower[i]), float(self.upper[i])) for i in wrong}

    # --- kinematics ---

    def fk(self, q: ArrayLike, frame: str) -> Array:
        """Pose T_base_frame [4, 4] of a link or frame at q [n]; base is the URDF's root."""
        T, _, _ = self._chain(frame).frames(self._full(q))
        return T

    def jacobian(self, q: ArrayLike, frame: str, group: str | None = None) -> Array:
        """Velocity of a frame per joint rate [6, n], [6, k] for a group: linear, then angular, in the root's axes."""
        chain = self._chain(frame)
        T, points, directions = chain.frames(self._full(q))
        part = np.zeros((6, len(chain.joints)))
        columns = np.arange(len(chain.joints))
        kernels.jacobian_from(T, points, directions, chain.prismatic, columns, part)
        J = np.zeros((6, len(self.joint_names)))
        for k, joint in enumerate(chain.joints):
            J[:, joint] += chain.multipliers[k] * part[:, k]
        return J if group is None else J[:, self.group(group).indices]

    def ik(
        self,
        T_base_tcp: ArrayLike,
        seed: ArrayLike,
        group: str = "arm",
        *,
        frame: str | None = None,
        position_only: bool = False,
        restarts: int = 40,
        rng: np.random.Generator | None = None,
        valid: Callable[[Array], bool] | None = None,
        towards_ready: bool = True,
    ) -> IkResult:
        """Joints of a group that bring a frame to a pose: damped least squares from `seed`, then from random seeds.

        Redundant arms (and position-only targets) are moved along the null-space towards the group's ready state.
        Joints that may turn more than a full turn come back in the turn closest to the seed.

        Args:
            T_base_tcp: target of the frame, [4, 4].
            seed: full joint vector [n]; joints outside of the group stay as they are in it.
            group: a chain group.
            frame: what to move; the group's tcp by default.
            position_only: leave the orientation free.
            restarts: random seeds to try after `seed`; about 60 microseconds each.
            rng: source of the random seeds; a fixed one by default, so that equal calls give equal answers.
            valid: further test of a solution, for instance free of collision; the search goes on until it holds.
            towards_ready: use the null-space; turn off to stay close to the seed.

        Raises:
            ValueError: the target is no rigid transform, or the group moves nothing on the way to the frame.
        """
        target = check_rigid(T_base_tcp, "the IK target")
        start, chosen = self._full(seed), self.group(group)
        moved = frame or chosen.tcp
        chain = self._chain(moved)
        columns = np.flatnonzero(np.isin(chain.joints, chosen.indices))
        if len(columns) == 0:
            raise ValueError(f"no joint of group {group} moves {moved}")
        if np.any(chain.multipliers[columns] != 1.0) or np.any(chain.offsets[columns] != 0.0):
            raise ValueError(f"{moved} hangs on a coupled joint of group {group}; ik needs a chain of motors")
        joints = chain.joints[columns]
        problem = IkProblem(
            chain=chain,
            columns=columns,
            lower=self.lower[joints],
            upper=self.upper[joints],
            ready=self.state("ready", group)[joints] if "ready" in chosen.states else start[joints],
            target=target,
            start=start,
            position_only=position_only,
            towards_ready=towards_ready,
        )
        return search(problem, restarts, np.random.default_rng(0) if rng is None else rng, valid)

    def reachable(
        self, T_base_tcp: ArrayLike, group: str = "arm", *, seed: ArrayLike | None = None, free: bool = True
    ) -> bool:
        """Whether a group can bring its tcp to a pose, by default without collision (obstacles included)."""
        start = self.state("ready") if seed is None else self._full(seed)
        valid = (lambda q: not self.collision.check(q)) if free else None
        return self.ik(T_base_tcp, start, group, valid=valid).success

    def random_configuration(
        self, rng: np.random.Generator, group: str | None = None, q: ArrayLike | None = None
    ) -> Array:
        """Uniformly random joints within limits (each within a half turn of ready), of one group or of all."""
        full = self.neutral.copy() if q is None else self._full(q).copy()
        indices = np.arange(len(self.joint_names)) if group is None else self.group(group).indices
        middle = self.neutral[indices]
        low = np.maximum(self.lower[indices], middle - np.pi)
        high = np.minimum(self.upper[indices], middle + np.pi)
        full[indices] = rng.uniform(low, high)
        return full

    def random_reachable_pose(
        self, rng: np.random.Generator, group: str = "arm", *, free: bool = True, tries: int = 1000
    ) -> tuple[Array, Array]:
        """A pose of the group's tcp that is reachable by construction, and the joints [n] that reach it.

        Raises:
            RuntimeError: `tries` random configurations were all in collision.
        """
        for _ in range(tries):
            q = self.random_configuration(rng, group)
            if not free or not self.collision.check(q):
                return self.fk(q, self.group(group).tcp), q
        raise RuntimeError(
            f"{tries} random configurations of {group} were all in collision; check the cell's furniture"
        )

    # --- inside ---

    def _full(self, q: ArrayLike) -> Array:
        values = np.asarray(q, dtype=np.float64)
        if values.shape != (len(self.joint_names),):
            raise ValueError(
                f"a joint vector has shape ({len(self.joint_names)},), not {values.shape}; vector() fills in joints"
            )
        return values

    def _chain(self, frame: str) -> Chain:
        if frame not in self._chains:
            self._chains[frame] = self.tree.chain(frame, self.index)
        return self._chains[frame]

    def _group(self, name: str, tcp_of_group: Mapping[str, str]) -> JointGroup:
        described = self.srdf.groups[name]
        joints = list(self._joints_of(name, ()))
        indices = np.array([self.index(joint) for joint in joints], dtype=np.int64)
        tip = described.chain.tip if described.chain else ""
        states = {}
        for (group, state), values in self.srdf.states.items():
            if group == name:
                if missing := [joint for joint in joints if joint not in values]:
                    raise ValueError(f"SRDF state {state} of {name} lacks {', '.join(missing)}")
                states[state] = np.array([values[joint] for joint in joints])
        return JointGroup(name, tuple(joints), indices, tip, tcp_of_group.get(name, tip), states)

    def _joints_of(self, group: str, above: tuple[str, ...]) -> Iterable[str]:
        """Actuated joints of a group, in the chain's order; nested groups in theirs."""
        if group in above:
            raise ValueError(f"SRDF group {group} contains itself")
        if group not in self.srdf.groups:
            raise ValueError(f"SRDF names a group {group} that it does not describe")
        described = self.srdf.groups[group]
        found: dict[str, None] = {}
        if described.chain:
            between = self.tree.joints_between(described.chain.base, described.chain.tip)
            found.update(dict.fromkeys(name for name in between if name in self._index))
        for name in described.joints:
            if name not in self.tree.mimics:
                self.index(name)
                found[name] = None
        for part in described.groups:
            found.update(dict.fromkeys(self._joints_of(part, (*above, group))))
        return found

    def _neutral(self) -> Array:
        """Every group's ready state (grippers: open); joints in no group at 0 or the closest limit."""
        q = np.clip(np.zeros(len(self.joint_names)), self.lower, self.upper)
        for state in ("open", "ready"):
            for group in self.groups.values():
                if state in group.states:
                    q[group.indices] = group.states[state]
        return q


def chain_groups(model: RobotModel) -> Sequence[str]:
    """Names of the groups that are chains, for which `ik` works."""
    return [name for name, group in model.groups.items() if group.tip]
