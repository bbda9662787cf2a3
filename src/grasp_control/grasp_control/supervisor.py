# SPDX-License-Identifier: Apache-2.0
"""Keeps a link to the robot: connects, connects again after a loss, and recovers from stops when somebody asks for it.

What comes back by itself: a lost connection, and the control program with it. What does not: a protective stop, an
emergency stop, a program that somebody stopped on the pendant (also while the connection was away), power that was
taken. Those wait for ``recover``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from grasp_control.arm_settings import ArmSettings
from grasp_control.dashboard import DashboardError, dashboard
from grasp_control.servo_loop import MOVES_IN, PLAYING, RUNNING, SAFETY, ServoLoop
from grasp_control.ur_link import LinkError, UrLink

# Waiting times between tries to connect (s).
BACK_OFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
# After a connection was made or a program was sent, its state takes a moment to arrive (s).
GRACE_S = 0.5
# A program that is not seen to run by then is sent again (s).
RUNS_WITHIN_S = 3.0
# Safety modes that only a restart of the robot's safety system ends.
FAULTS = frozenset({8, 9})


class Supervisor:
    """Looks after the link between two cycles of the loop."""

    def __init__(
        self, settings: ArmSettings, link: UrLink, loop: ServoLoop, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._s, self._link, self._loop, self._clock = settings, link, loop, clock
        self._tries, self._next_try = 0, -1.0
        self._had_control = self._ran_before = False
        self._stopped = ""
        self._grace_until = self._sent_at = -1.0

    def look(self) -> None:
        """Once a cycle: reconnect what is lost, notice who stopped the robot."""
        lost = not self._link.connected or (
            self._loop.age_s > self._s.reconnect_s and self._clock() > self._grace_until
        )
        if lost:
            self._ran_before = self._ran_before or self._had_control
            self._had_control = False
            self._reconnect()
            return
        self._notice_stop_while_away()
        self._notice_stops()
        self._drop_what_never_ran()
        may = not (self._stopped or self._ran_before or self._link.controlling)
        if may and self._may_control():
            self._take_control()

    def recover(self, wait: Callable[[float], bool]) -> tuple[bool, str]:
        """Unlock, power on, release brakes, send the control program again.

        ``wait`` lets cycles pass meanwhile; it says whether to go on.

        Returns:
            Whether the robot takes commands now, and a sentence.
        """
        host, end = self._s.robot_ip, self._clock() + self._s.recover_timeout_s
        last = "the robot does not answer"
        stops = 0
        while self._clock() < end:
            state = self._link.state() if self._link.connected else None
            try:
                if state is None:
                    self._reconnect()
                elif state.safety_mode == 3:
                    last = dashboard(host, "close safety popup", "unlock protective stop")[-1]
                elif state.safety_mode not in MOVES_IN:
                    # A button that was turned just now is told of a little later.
                    stops += 1
                    if stops > 1:
                        return False, _still_stopped(state.safety_mode)
                elif state.robot_mode != RUNNING:
                    last = dashboard(host, "brake release")[-1]  # powers the robot on where it is off
                else:
                    self._stopped, self._ran_before = "", False
                    self._link.drop_control()
                    self._take_control()
                    if self._link.controlling:
                        return True, "the robot takes commands"
                    last = self._loop.stand_by
            except DashboardError as error:
                last = str(error)
            if not wait(GRACE_S):
                return False, "the driver is being closed"
        return False, f"not recovered within {self._s.recover_timeout_s:g} s: {last}"

    def _may_control(self) -> bool:
        state = self._link.state()
        return state is not None and state.safety_mode in MOVES_IN and state.robot_mode == RUNNING

    def _notice_stops(self) -> None:
        state = self._link.state()
        if state is None:
            return
        if self._link.controlling and state.runtime == PLAYING:
            self._had_control = True
        if not self._had_control:
            return
        if state.safety_mode not in MOVES_IN or state.robot_mode != RUNNING:
            self._stopped = "stopped by the robot's safety; call recover when the cause is gone"
        elif state.runtime != PLAYING:
            self._stopped = self._stopped or "the program was stopped on the pendant; call recover to go on"
        if self._stopped:
            # Told after the robot's own state is back to normal, until somebody recovers.
            self._loop.stand_by = self._stopped

    def _notice_stop_while_away(self) -> None:
        """Our program goes on running on the controller while the connection is away, unless somebody stops it."""
        state = self._link.state()
        if not self._ran_before or state is None or state.time_s <= 0.0 or self._loop.age_s > self._s.stale_s:
            return
        self._ran_before = False
        if state.runtime != PLAYING and not self._stopped:
            self._stopped = "the program was stopped while the connection was away; call recover to go on"
            self._loop.stand_by = self._stopped

    def _reconnect(self) -> None:
        if self._clock() < self._next_try:
            return
        try:
            self._link.connect()
        except LinkError as error:
            self._wait_longer()
            self._loop.stand_by = str(error)
            return
        self._loop.counts["reconnections"] += 1
        self._tries, self._next_try = 0, -1.0
        self._grace_until = self._clock() + GRACE_S
        self._loop.stand_by = self._stopped or "connected; the control program does not run yet"

    def _take_control(self) -> None:
        if self._clock() < self._next_try:
            return
        try:
            self._link.take_control()
        except LinkError as error:
            self._wait_longer()
            self._loop.stand_by = str(error)
            return
        # Whoever stops it from now on is noticed once it has been seen to run.
        self._tries, self._had_control = 0, False
        self._sent_at = self._clock()
        self._loop.stand_by = ""

    def _drop_what_never_ran(self) -> None:
        if self._link.controlling and not self._had_control and self._clock() - self._sent_at > RUNS_WITHIN_S:
            self._link.drop_control()
            self._wait_longer()

    def _wait_longer(self) -> None:
        self._next_try = self._clock() + BACK_OFF_S[min(self._tries, len(BACK_OFF_S) - 1)]
        self._tries += 1


def _still_stopped(safety_mode: int) -> str:
    """What a person has to do before the robot can be recovered."""
    name = SAFETY.get(safety_mode, f"safety mode {safety_mode}")
    if safety_mode in FAULTS:
        return f"{name} of the robot: find its cause in PolyScope's log, restart the safety system there, then recover"
    return f"{name} of the robot is still active: release it on the robot first"
