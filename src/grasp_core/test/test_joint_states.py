# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from grasp_core.joint_states import JointStates
from grasp_core.ports import JointState, StateError


def test_states_of_several_publishers_come_together() -> None:
    now = [10_000_000_000]
    states = JointStates(0.5, lambda: now[0])
    states.add(JointState.at_rest({"a": 1.0, "b": 2.0}, now[0] - 100))
    states.add(JointState.at_rest({"c": 3.0}, now[0]))
    states.add(JointState.at_rest({"a": 4.0}))
    newest = states.newest(("a", "b"))
    assert newest.as_dict() == {"a": 4.0, "b": 2.0, "c": 3.0}
    assert newest.stamp_ns == now[0] - 100


def test_silence_and_age_are_told() -> None:
    now = [10_000_000_000]
    states = JointStates(0.5, lambda: now[0])
    with pytest.raises(StateError, match="received of a"):
        states.newest(("a",))
    states.add(JointState.at_rest({"a": 1.0}, now[0]))
    now[0] += 700_000_000
    with pytest.raises(StateError, match=r"0\.70 s old"):
        states.newest(("a",))
