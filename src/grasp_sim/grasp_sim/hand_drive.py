# SPDX-License-Identifier: Apache-2.0
"""A multi-finger hand in the manner of the Barrett BH-280: four motors, coupled distal joints, breakaway.

Before breakaway a finger's motor turns the distal joint a third as far as the proximal one. When the proximal link is
stopped, its clutch opens: the link stays (worm drives do not give way) and the motor turns the distal joint alone,
until that is stopped too. With the motor at angle m (in proximal radians, m / 125 of the real motor) the joints obey
q_distal = 4/3 m - q_proximal throughout (libbarrett). The spread motor moves both of its fingers together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from grasp_core.observation import GripperState
from grasp_core.ports import GripperLimits
from grasp_description.grippers import GripperSpec
from grasp_sim.engine import Engine
from grasp_sim.finger_drive import REFLECTED_INERTIA
from grasp_sim.gripper_drive import StallSettings
from grasp_sim.robot import Robot

# How far a joint may lag behind its motor before it counts as stopped (rad).
LAG_RAD = 0.05
# Levers from the fingertip to the proximal and to the distal joint (m): both links, the distal one.
PROXIMAL_LEVER_M = 0.11
DISTAL_LEVER_M = 0.05
# Torque with which a worm drive holds against what pushes it back (Nm).
HOLD_NM = 15.0
REACHED_RAD = 0.005


@dataclass(frozen=True)
class _Finger:
    """One finger: joints, motor angle and goal (proximal rad), and where the proximal link was stopped."""

    proximal: str
    distal: str
    goal: float
    motor: float
    stopped_at: float | None = None
    stalled: bool = False
    still_s: float = 0.0


class HandDrive:
    """Drives a hand with breakaway fingers.

    Args:
        robot, engine: whose joints.
        spec: the hand's data, with a ``breakaway`` table.
        prefix: of its joints and links in the cell.
        stall: when fingers count as stopped.
    """

    def __init__(
        self, robot: Robot, engine: Engine, spec: GripperSpec, prefix: str, stall: StallSettings | None = None
    ) -> None:
        self._robot, self._engine, self.spec, self.prefix = robot, engine, spec, prefix
        self._stall = stall or StallSettings()
        ratio = spec.breakaway["proximal_ratio"] / spec.breakaway["distal_relative_ratio"]
        self._coupling = float(ratio)
        self._force_n = spec.force_n[1]
        self._closing = False
        pairs = spec.breakaway["pairs"]
        self._fingers = [_Finger(prefix + near, prefix + far, 0.0, 0.0) for near, far in pairs.items()]
        inner = {*pairs, *pairs.values()}
        # What is neither proximal nor distal spreads: leaders by name, followers with their factor.
        self._spread = {prefix + name: 0.0 for name in spec.active if name not in inner}
        self._spread_of = {
            prefix + name: (prefix + c.of, c.multiplier) for name, c in spec.coupled.items() if name not in inner
        }
        self._spread_goal = dict(self._spread)
        self._speeds = {prefix + name: limit.velocity for name, limit in spec.joints.items()}
        self._ranges = {prefix + name: (limit.lower, limit.upper) for name, limit in spec.joints.items()}
        self._prepare_bodies()
        self.hold_here()

    @property
    def limits(self) -> GripperLimits:
        """Openings (m) between opposite fingertips and forces (N) that it takes."""
        return GripperLimits(*self.spec.stroke_m, *self.spec.force_n)

    @property
    def finger_links(self) -> tuple[int, ...]:
        """Link numbers of all phalanges."""
        return self._robot.links_of([self.prefix + name for name in self.spec.finger_links])

    @property
    def finger_groups(self) -> tuple[tuple[int, ...], ...]:
        """Link numbers finger by finger."""
        joints = self._robot.joint_index
        return tuple((joints[finger.proximal], joints[finger.distal]) for finger in self._fingers)

    @property
    def settled(self) -> bool:
        """Whether every motor reached its goal or was stopped."""
        there = all(self._at_goal(finger) or finger.stalled for finger in self._fingers)
        return there and all(abs(self._spread[n] - g) <= REACHED_RAD for n, g in self._spread_goal.items())

    @property
    def broken_away(self) -> tuple[bool, ...]:
        """Finger by finger: whether its proximal link was stopped and the distal one went on alone."""
        return tuple(finger.stopped_at is not None for finger in self._fingers)

    def command_width(self, width_m: float, force_n: float) -> None:
        """Move all fingers to an opening between the tips; the spread stays."""
        limits = self.limits
        self._force_n = float(np.clip(force_n, limits.min_force_n, limits.max_force_n))
        goal = self.spec.driver_position(float(np.clip(width_m, limits.min_width_m, limits.max_width_m)))
        # Closing all the way is what the hardware's close command does: on until something stops each finger.
        if width_m <= limits.min_width_m + 1e-6:
            goal = self.spec.joints[self.spec.driver].upper
        self._command({finger.proximal: goal for finger in self._fingers})

    def command_joints(self, positions: Mapping[str, float]) -> None:
        """Move motors: proximal joints and the spread; positions are clamped to their ranges.

        Raises:
            ValueError: a joint without a motor of its own.
        """
        motors = {*self._spread, *(finger.proximal for finger in self._fingers)}
        strangers = [name for name in positions if name not in motors]
        if strangers:
            known = ", ".join(sorted(motors))
            raise ValueError(f"hand {self.spec.name} has no motor for {strangers[0]!r}; it has {known}")
        clamped = {name: float(np.clip(value, *self._ranges[name])) for name, value in positions.items()}
        self._spread_goal |= {name: value for name, value in clamped.items() if name in self._spread}
        self._command({name: value for name, value in clamped.items() if name not in self._spread})

    def hold_here(self) -> None:
        """Take the present joints as commanded, clutches closed."""
        positions = self._robot.positions()
        self._fingers = [
            replace(f, goal=positions[f.proximal], motor=positions[f.proximal], stopped_at=None, stalled=False)
            for f in self._fingers
        ]
        self._spread = {name: positions[name] for name in self._spread}
        self._spread_goal = dict(self._spread)

    def update(self) -> None:
        """Command the motors for the next step."""
        dt = self._engine.dt_s
        indices, targets, efforts = [], [], []
        for k, finger in enumerate(self._fingers):
            positions, _ = self._robot.state_of((finger.proximal, finger.distal))
            finger = self._advance(finger, float(positions[0]), float(positions[1]), dt)
            self._fingers[k] = finger
            near, far = self._targets(finger)
            closing = finger.goal > finger.motor - REACHED_RAD and self._closing
            push = self._force_n * PROXIMAL_LEVER_M if closing and finger.stopped_at is None else HOLD_NM
            press = self._force_n * DISTAL_LEVER_M if finger.stopped_at is not None else HOLD_NM
            indices += [self._robot.joint_index[finger.proximal], self._robot.joint_index[finger.distal]]
            targets += [near, far]
            efforts += [push, press]
        for name, goal in self._spread_goal.items():
            step = self._speeds[name] * dt
            self._spread[name] += float(np.clip(goal - self._spread[name], -step, step))
            indices.append(self._robot.joint_index[name])
            targets.append(self._spread[name])
            efforts.append(HOLD_NM)
        for name, (leader, factor) in self._spread_of.items():
            indices.append(self._robot.joint_index[name])
            targets.append(factor * self._spread[leader])
            efforts.append(HOLD_NM)
        self._engine.api.setJointMotorControlArray(
            self._robot.body,
            indices,
            self._engine.api.POSITION_CONTROL,
            targetPositions=targets,
            forces=efforts,
            positionGains=[0.4] * len(indices),
        )

    def state(self) -> GripperState:
        """Mean opening of the fingers, force at the tips, and whether they were stopped by something."""
        names = [self.prefix + name for name in self.spec.joints]
        positions, _ = self._robot.state_of(names)
        by_name = dict(zip(names, positions.tolist(), strict=True))
        # Without anything in between the fingers close past each other; that is no opening.
        width = max(0.0, float(np.mean([self.spec.width_m(by_name[f.proximal]) for f in self._fingers])))
        stopped = [f.stalled and not self._at_goal(f) for f in self._fingers]
        stalled = any(stopped)
        # One finger alone holds nothing.
        holding = self._closing and self.settled and sum(stopped) >= 2
        efforts = np.abs(self._robot.efforts_of([f.distal for f in self._fingers]))
        force = float(efforts.mean() / DISTAL_LEVER_M) if stalled else 0.0
        return GripperState(width, force, stalled, holding, by_name)

    def joints_at(self, width_m: float) -> dict[str, float]:
        """Position of every joint at an opening with nothing in between; the spread as commanded."""
        q = self.spec.driver_position(width_m)
        active = {finger.proximal.removeprefix(self.prefix): q for finger in self._fingers}
        active |= {name.removeprefix(self.prefix): value for name, value in self._spread.items()}
        return {self.prefix + name: value for name, value in self.spec.all_joints(active).items()}

    def snapshot(self) -> Any:
        """State for ``restore``."""
        return list(self._fingers), dict(self._spread), dict(self._spread_goal), self._force_n, self._closing

    def restore(self, state: Any) -> None:
        """Back to a snapshot."""
        fingers, spread, goal, self._force_n, self._closing = state
        self._fingers, self._spread, self._spread_goal = list(fingers), dict(spread), dict(goal)

    def _command(self, goals: Mapping[str, float]) -> None:
        self._closing = any(goals.get(f.proximal, f.motor) > f.motor for f in self._fingers)
        self._fingers = [
            replace(f, goal=goals.get(f.proximal, f.goal), stalled=False, still_s=0.0) for f in self._fingers
        ]

    def _at_goal(self, finger: _Finger) -> bool:
        return abs(finger.motor - finger.goal) <= REACHED_RAD

    def _targets(self, finger: _Finger) -> tuple[float, float]:
        if finger.stopped_at is None:
            return finger.motor, self._coupling * finger.motor
        low, high = self._ranges[finger.distal]
        far = (1.0 + self._coupling) * finger.motor - finger.stopped_at
        return finger.stopped_at, float(np.clip(far, low, high))

    def _advance(self, finger: _Finger, near: float, far: float, dt_s: float) -> _Finger:
        speed = self._speeds[finger.proximal]
        if finger.goal < finger.motor - REACHED_RAD:
            motor = max(finger.goal, finger.motor - speed * dt_s)
            # On the way back the proximal link moves again once the distal one has given back what it went ahead.
            stopped_at = None if finger.stopped_at is None or motor <= finger.stopped_at else finger.stopped_at
            return replace(finger, motor=motor, stopped_at=stopped_at, stalled=False, still_s=0.0)
        if finger.stopped_at is None:
            if finger.motor - near > LAG_RAD:
                return replace(finger, stopped_at=near, still_s=0.0)
            if self._at_goal(finger):
                return finger
            return replace(finger, motor=min(finger.goal, finger.motor + speed * dt_s))
        _, target = self._targets(finger)
        at_stop = target >= self._ranges[finger.distal][1] - REACHED_RAD
        if target - far > LAG_RAD or at_stop:
            still_s = finger.still_s + dt_s
            return replace(finger, still_s=still_s, stalled=still_s >= self._stall.duration_s)
        if self._at_goal(finger):
            return replace(finger, stalled=True)
        return replace(finger, motor=min(finger.goal, finger.motor + speed * dt_s), still_s=0.0, stalled=False)

    def _prepare_bodies(self) -> None:
        api, body, settings = self._engine.api, self._robot.body, self._engine.settings
        for name in self.spec.joints:
            index = self._robot.joint_index[self.prefix + name]
            inertia = np.array(api.getDynamicsInfo(body, index)[2]) + REFLECTED_INERTIA
            api.changeDynamics(body, index, localInertiaDiagonal=inertia.tolist())
        for link in self.finger_links:
            api.changeDynamics(
                body,
                link,
                lateralFriction=settings.finger_friction,
                spinningFriction=settings.spinning_friction_m,
                rollingFriction=settings.rolling_friction_m,
                frictionAnchor=1,
            )
