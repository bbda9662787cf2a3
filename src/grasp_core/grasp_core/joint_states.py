# SPDX-License-Identifier: Apache-2.0
"""The newest position of every joint, from messages that may each tell only some of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from grasp_core.ports import JointState, StateError


class JointStates:
    """Remembers joint states of several publishers. Safe for use by several threads.

    Args:
        max_age_s: an older state of a joint that is asked for counts as none.
        now_ns: the clock of the states' stamps.
    """

    def __init__(self, max_age_s: float, now_ns: Callable[[], int]) -> None:
        self._max_age_s = max_age_s
        self._now_ns = now_ns
        self._joints: dict[str, tuple[float, float, int]] = {}
        self._lock = threading.Lock()

    def add(self, state: JointState) -> None:
        """Remember a state; an unset stamp counts as now."""
        stamp_ns = state.stamp_ns or self._now_ns()
        rows = zip(state.names, state.positions.tolist(), state.velocities.tolist(), strict=True)
        with self._lock:
            self._joints.update({name: (position, velocity, stamp_ns) for name, position, velocity in rows})

    def newest(self, needed: tuple[str, ...]) -> JointState:
        """Every joint heard of so far; the stamp is that of the oldest of ``needed``.

        Raises:
            StateError: one of ``needed`` was never heard of, or not for too long.
        """
        with self._lock:
            joints = dict(self._joints)
        if missing := [name for name in needed if name not in joints]:
            raise StateError(f"no joint state was received of {', '.join(missing)}")
        oldest = min(needed, key=lambda name: joints[name][2])
        age_s = 1e-9 * (self._now_ns() - joints[oldest][2])
        if age_s > self._max_age_s:
            raise StateError(f"the joint state of {oldest} is {age_s:.2f} s old (allowed {self._max_age_s} s)")
        values = np.array([joint[:2] for joint in joints.values()])
        return JointState(tuple(joints), values[:, 0], values[:, 1], joints[oldest][2])
