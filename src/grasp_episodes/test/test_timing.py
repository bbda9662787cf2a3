# SPDX-License-Identifier: Apache-2.0
"""Ports that look at the clock pass everything on."""

import inspect

import pytest

from grasp_core.planning import MotionPlanner
from grasp_core.ports import Arm, Gripper
from grasp_episodes.timing import StageClock, TimedArm, TimedGripper, TimedPlanner


@pytest.mark.parametrize(
    ("timed", "port"),
    [(TimedPlanner, MotionPlanner), (TimedArm, Arm), (TimedGripper, Gripper)],
    ids=lambda t: t.__name__,
)
def test_a_timed_port_offers_all_that_the_port_does(timed, port):
    for name, member in inspect.getmembers(port, lambda m: callable(m) or isinstance(m, property)):
        if name.startswith("_"):
            continue
        assert hasattr(timed, name), f"{timed.__name__} lacks {name}"
        if inspect.isfunction(member):
            assert inspect.signature(getattr(timed, name)) == inspect.signature(member)


def test_stages_add_up_and_begin_anew():
    clock = StageClock(iter([5, 6, 7]).__next__)
    clock.add("plan", 0.0)
    before = clock.seconds["plan"]
    clock.add("plan", 0.0)
    assert clock.seconds["plan"] > before > 0.0
    clock.command(motion=False)
    clock.command(motion=True)
    assert (clock.first_command_ns, clock.first_motion_ns) == (5, 6)
    clock.start()
    assert (clock.seconds, clock.first_command_ns, clock.first_motion_ns) == ({}, None, None)
