# SPDX-License-Identifier: Apache-2.0
"""A whole cell of fakes round the gantry."""

import threading
from types import SimpleNamespace

import numpy as np

from grasp_core.cell_config import Limits, Skills
from grasp_core.fakes import GANTRY_LIMITS, FakeArm, FakeGripper, FakeKinematics, FakePlanner
from grasp_core.guard import Guard
from grasp_core.guarded_ports import GuardedArm, GuardedGripper
from grasp_core.observation import ArmObservation, Observation
from grasp_core.skills import ArmPorts, CellPorts

LIMITS = {
    "workspace": {"min_m": (-0.2, -0.2, 0.0), "max_m": (0.2, 0.2, 0.3)},
    "motion_box": {"min_m": (-0.6, -0.6, -0.01), "max_m": (0.6, 0.6, 0.8)},
    "max_step_m": 0.05,
    "max_step_rad": 0.4,
    "max_tcp_speed_m_s": 0.5,
    "max_state_age_s": 0.5,
}


def make(object_at=None, width_m=0.04, **skills):
    """Ports, guard and fakes; an object of ``width_m`` lies at ``object_at`` (x, y), 0.05 m high, until it is lost."""
    now = SimpleNamespace(ns=10_000_000_000)
    arm = FakeArm(lambda: now.ns)
    world = SimpleNamespace(lost=False)

    def between():
        if object_at is None or world.lost:
            return None
        over = np.hypot(*(arm.position[:2] - object_at)) < 0.01
        return width_m if over else None

    gripper = FakeGripper(between)
    kinematics = FakeKinematics()
    guard = Guard(Limits.from_mapping(LIMITS), GANTRY_LIMITS, kinematics, lambda: now.ns)
    states = {"ready": {"x": 0.0, "y": 0.0, "z": 0.5, "yaw": 0.0}, "drop": {"x": 0.3, "y": 0.3, "z": 0.5}}
    hand = ArmPorts(GuardedArm(arm, guard), GuardedGripper(gripper, guard), 20.0, states)
    cancel = threading.Event()
    ports = CellPorts({"arm": hand}, FakePlanner(kinematics), kinematics, Skills(**skills), cancel)

    def observe():
        T = kinematics.fk(arm.state().as_dict())
        return Observation({}, arm.state().as_dict(), {"arm": ArmObservation(T, gripper.state())}, now.ns)

    return SimpleNamespace(
        ports=ports, guard=guard, arm=arm, gripper=gripper, cancel=cancel, observe=observe, now=now, world=world
    )
