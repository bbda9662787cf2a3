# SPDX-License-Identifier: Apache-2.0
"""Two-finger grippers whose joints one motor moves together: RG2's linkage, prismatic pairs, the HSR's hand.

How the coupling is simulated: the joints that carry a finger on the palm ("roots") each get a motor whose torque is
what the commanded pad force asks for at this opening, and a gear constraint keeps them together as the one real motor
does. Joints further out follow their root stiffly, as the bars of a parallelogram make them. Position motors alone, or
gears alone, do not squeeze reliably in a sequential-impulse solver; the motors' torque limit is the grip force here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grasp_core.geometry import Array
from grasp_core.observation import GripperState
from grasp_core.ports import GripperLimits
from grasp_description.grippers import GripperSpec
from grasp_sim.engine import Engine
from grasp_sim.gripper_drive import StallClock, StallSettings
from grasp_sim.robot import Robot

# Inertia (kg m2) or mass (kg) of motor and gear as felt at a finger joint. Real geared fingers have some; without it
# the solver cannot transmit the grip force through links of 50 g.
REFLECTED_INERTIA = 1e-3
REFLECTED_MASS = 0.25
# Torque (Nm) or force (N) with which coupled joints follow.
FOLLOW_EFFORT = 40.0
GEAR_FORCE = 1000.0
LEVER_SAMPLES = 15


@dataclass(frozen=True)
class _Joint:
    name: str
    index: int
    multiplier: float
    offset: float
    prismatic: bool

    def of_driver(self, q_driver: float) -> float:
        return self.multiplier * q_driver + self.offset

    def to_driver(self, q: float) -> float:
        return (q - self.offset) / self.multiplier


class FingerDrive:
    """Drives a two-finger gripper.

    Args:
        robot, engine: whose joints.
        spec: the gripper's data.
        prefix: of its joints and links in the cell.
        stall: when fingers count as stopped.
    """

    def __init__(
        self, robot: Robot, engine: Engine, spec: GripperSpec, prefix: str, stall: StallSettings | None = None
    ) -> None:
        self._robot, self._engine, self.spec, self.prefix = robot, engine, spec, prefix
        self._clock = StallClock(stall or StallSettings())
        self._sort_joints()
        self._prepare_bodies()
        self._levers = self._measure_levers()
        self._gear()
        self._width_m = spec.stroke_m[1]
        self._force_n = spec.force_n[1]
        self._settled = True
        self.hold_here()

    @property
    def limits(self) -> GripperLimits:
        """Openings (m) and forces (N) that it takes."""
        return GripperLimits(*self.spec.stroke_m, *self.spec.force_n)

    @property
    def finger_links(self) -> tuple[int, ...]:
        """Link numbers of the fingers in the robot's body."""
        return self._robot.links_of([self.prefix + name for name in self.spec.finger_links])

    @property
    def finger_groups(self) -> tuple[tuple[int, ...], ...]:
        """Link numbers finger by finger."""
        return tuple((link,) for link in self.finger_links)

    @property
    def settled(self) -> bool:
        """Whether the last command reached its opening or was stopped."""
        return self._settled

    def command_width(self, width_m: float, force_n: float) -> None:
        """Open or close to an opening; what is out of range is clamped."""
        limits = self.limits
        self._width_m = float(np.clip(width_m, limits.min_width_m, limits.max_width_m))
        self._force_n = float(np.clip(force_n, limits.min_force_n, limits.max_force_n))
        self._settled = False
        self._clock.reset()

    def command_joints(self, positions: Mapping[str, float]) -> None:
        """Only the driver can be moved.

        Raises:
            ValueError: another joint.
        """
        driver = self.prefix + self.spec.driver
        strangers = [name for name in positions if name != driver]
        if strangers:
            raise ValueError(f"gripper {self.spec.name} has no motor for {strangers[0]!r}; only {driver} can be moved")
        self.command_width(self.spec.width_m(positions[driver]), self._force_n)

    def hold_here(self) -> None:
        """Take the present opening as commanded."""
        self._width_m = self.spec.width_m(self._driver_now())
        self._settled = True
        self._clock.reset()

    def update(self) -> None:
        """Command the motors for the next step."""
        q_now = self._driver_now()
        width_now = self.spec.width_m(q_now)
        self._clock.tick(width_now, self._engine.dt_s)
        if abs(width_now - self._width_m) <= self._clock.settings.reached_m or self._clock.still:
            self._settled = True
        goal = self.spec.driver_position(self._width_m)
        speed = self.spec.driver_speed(self.spec.speed_m_s[1], q_now)
        api, body = self._engine.api, self._robot.body
        for root, levers in zip(self._roots, self._levers, strict=True):
            effort = self._force_n * float(np.interp(q_now, self._lever_grid, levers))
            api.setJointMotorControl2(
                body,
                root.index,
                api.POSITION_CONTROL,
                targetPosition=root.of_driver(goal),
                force=effort,
                maxVelocity=abs(root.multiplier) * speed,
                positionGain=0.3,
            )
        indices, targets = self._follow(q_now)
        if indices:
            n = len(indices)
            api.setJointMotorControlArray(
                body,
                indices,
                api.POSITION_CONTROL,
                targetPositions=targets,
                forces=[FOLLOW_EFFORT] * n,
                positionGains=[0.5] * n,
            )

    def state(self) -> GripperState:
        """Opening, force from the motors, and whether the fingers are stopped by something."""
        q_now = self._driver_now()
        width = self.spec.width_m(q_now)
        settings = self._clock.settings
        short_of_goal = width - self._width_m > settings.reached_m
        stalled = self._clock.still and abs(width - self._width_m) > settings.reached_m
        holding = stalled and short_of_goal and width > self.spec.stroke_m[0] + settings.empty_m
        efforts = np.abs(self._robot.efforts_of([root.name for root in self._roots]))
        levers = [float(np.interp(q_now, self._lever_grid, row)) for row in self._levers]
        force = float(np.mean(efforts / np.maximum(levers, 1e-6))) if stalled else 0.0
        names = [self.prefix + name for name in self.spec.joints]
        positions, _ = self._robot.state_of(names)
        return GripperState(width, force, stalled, holding, dict(zip(names, positions.tolist(), strict=True)))

    def joints_at(self, width_m: float) -> dict[str, float]:
        """Position of every joint at an opening with nothing in between."""
        values = self.spec.all_joints({self.spec.driver: self.spec.driver_position(width_m)})
        return {self.prefix + name: value for name, value in values.items()}

    def snapshot(self) -> Any:
        """State for ``restore``."""
        return self._width_m, self._force_n, self._settled, self._clock.snapshot()

    def restore(self, state: Any) -> None:
        """Back to a snapshot."""
        self._width_m, self._force_n, self._settled, clock = state
        self._clock.restore(clock)

    def _driver_now(self) -> float:
        positions, _ = self._robot.state_of([root.name for root in self._roots])
        return float(np.mean([root.to_driver(q) for root, q in zip(self._roots, positions, strict=True)]))

    def _sort_joints(self) -> None:
        robot, spec = self._robot, self.spec
        known = robot.description.joints
        mine = {self.prefix + name for name in spec.joints}
        parent_joint = {joint.child: joint for joint in known.values()}

        def chain_of(link: str) -> list[str]:
            # Gripper joints from the palm out to a link.
            names = []
            while link in parent_joint and parent_joint[link].name in mine:
                names.append(parent_joint[link].name)
                link = parent_joint[link].parent
            return names[::-1]

        anchors = [robot.description.anchors[self.prefix + link][0] for link in spec.finger_links]
        branches = [chain_of(anchor) for anchor in anchors]
        # A passive spring may stand between palm and finger; the first coupled joint of a branch carries the force.
        self._roots = [self._joint_of(next(n for n in branch if not self._is_passive(n))) for branch in branches]
        roots = {root.name for root in self._roots}
        branch_of = {
            name: root
            for branch, root in zip(branches, self._roots, strict=True)
            for name in branch
            if name not in roots
        }
        self._followers = [
            (self._joint_of(name), branch_of.get(name))
            for name in sorted(mine - roots, key=lambda n: robot.joint_index[n])
            if not self._is_passive(name)
        ]
        self._passive = [robot.joint_index[name] for name in sorted(mine) if self._is_passive(name)]

    def _is_passive(self, joint: str) -> bool:
        name = joint.removeprefix(self.prefix)
        coupling = self.spec.coupled.get(name)
        return name in self.spec.passive or (coupling is not None and coupling.of in self.spec.passive)

    def _joint_of(self, joint: str) -> _Joint:
        name = joint.removeprefix(self.prefix)
        multiplier, offset = 1.0, 0.0
        while name != self.spec.driver:
            coupling = self.spec.coupled[name]
            offset += multiplier * coupling.offset
            multiplier *= coupling.multiplier
            name = coupling.of
        kind = self._robot.description.joints[joint].kind
        return _Joint(joint, self._robot.joint_index[joint], multiplier, offset, kind == "prismatic")

    def _prepare_bodies(self) -> None:
        api, body = self._engine.api, self._robot.body
        for joint in [*self._roots, *(follower for follower, _ in self._followers)]:
            if joint.prismatic:
                mass = api.getDynamicsInfo(body, joint.index)[0]
                api.changeDynamics(body, joint.index, mass=mass + REFLECTED_MASS)
            else:
                inertia = np.array(api.getDynamicsInfo(body, joint.index)[2]) + REFLECTED_INERTIA
                api.changeDynamics(body, joint.index, localInertiaDiagonal=inertia.tolist())
        for index in self._passive:
            # Springs and what hangs on them: held at rest with the little effort that their stiffness amounts to.
            api.setJointMotorControl2(body, index, api.POSITION_CONTROL, targetPosition=0.0, force=FOLLOW_EFFORT)
        settings = self._engine.settings
        for link in self.finger_links:
            api.changeDynamics(
                body,
                link,
                lateralFriction=settings.finger_friction,
                spinningFriction=settings.spinning_friction_m,
                rollingFriction=settings.rolling_friction_m,
                frictionAnchor=1,
            )

    def _measure_levers(self) -> list[Array]:
        # Torque at a root for one newton at its pad, joints further out held stiff: |axis x (pad - joint) . closing|.
        robot, spec, api = self._robot, self.spec, self._engine.api
        before = robot.positions()
        limit = spec.joints[spec.driver]
        self._lever_grid = np.linspace(limit.lower, limit.upper, LEVER_SAMPLES)
        rows: list[list[float]] = [[] for _ in self._roots]
        for q in self._lever_grid:
            values = spec.all_joints({spec.driver: float(q)})
            robot.set_positions({self.prefix + name: value for name, value in values.items()})
            T_base_tcp = robot.T_base(self.prefix + spec.tcp_frame)
            closing, width = T_base_tcp[:3, 0], spec.width_m(float(q))
            for row, root, finger in zip(rows, self._roots, self.finger_links, strict=True):
                side = np.sign((np.array(api.getLinkState(robot.body, finger)[0]) - T_base_tcp[:3, 3]) @ closing) or 1.0
                pad_tcp = np.array([side * 0.5 * width, 0.0, spec.pad_offset_m(width)])
                pad = T_base_tcp[:3, :3] @ pad_tcp + T_base_tcp[:3, 3]
                state = api.getLinkState(robot.body, root.index, computeForwardKinematics=1)
                rotation = np.array(api.getMatrixFromQuaternion(state[5])).reshape(3, 3)
                axis = rotation @ np.array(robot.description.joints[root.name].axis)
                motion = axis if root.prismatic else np.cross(axis, pad - np.array(state[4]))
                row.append(abs(float(motion @ closing)))
        robot.set_positions(before)
        return [np.array(row) for row in rows]

    def _gear(self) -> None:
        api, body = self._engine.api, self._robot.body
        first = self._roots[0]
        for other in self._roots[1:]:
            ratio = other.multiplier / first.multiplier
            gear = api.createConstraint(
                body, other.index, body, first.index, api.JOINT_GEAR, [1, 0, 0], [0, 0, 0], [0, 0, 0]
            )
            api.changeConstraint(
                gear,
                gearRatio=-ratio,
                relativePositionTarget=other.offset - ratio * first.offset,
                erp=0.3,
                maxForce=GEAR_FORCE,
            )

    def _follow(self, q_now: float) -> tuple[list[int], list[float]]:
        positions, _ = self._robot.state_of([root.name for root in self._roots])
        here = {root.name: root.to_driver(q) for root, q in zip(self._roots, positions, strict=True)}
        indices, targets = [], []
        for joint, root in self._followers:
            indices.append(joint.index)
            targets.append(joint.of_driver(q_now if root is None else here[root.name]))
        return indices, targets
