# SPDX-License-Identifier: Apache-2.0
"""The servo loop: follows trajectories and streamed steps through a link, once a control cycle.

Time along a trajectory runs by the controller's own clock times a speed factor: the speed slider, the allowed share of
the joints' speed, and a ramp that brings it to zero along the path for a cancel or a halt. Where no new state arrives
the clock stands still, and so does the arm: it holds the last target.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from grasp_control.arm_settings import ArmSettings
from grasp_control.messages import (
    Cancel,
    Close,
    Done,
    Follow,
    FromServo,
    Halt,
    Reading,
    Recover,
    Release,
    SpeedScale,
    Stream,
    ToServo,
)
from grasp_control.ur_link import RobotState
from grasp_core.geometry import Array
from grasp_core.ports import MotionStatus
from grasp_core.sampler import Sampler

RUNNING, PLAYING = 7, 2
SAFETY = {
    2: "reduced mode",
    3: "protective stop",
    4: "recovery mode",
    5: "safeguard stop",
    6: "system emergency stop",
    7: "emergency stop",
    8: "safety violation",
    9: "safety fault",
}
# UR's reduced mode still moves.
MOVES_IN = frozenset({1, 2})
# Past this the controller's clock is not believed to have advanced in one go (s).
LONGEST_STEP_S = 0.05
# How much of the commanded path a lagging arm may be on (s).
LAG_S = 0.25
# Time constant with which a streamed step runs into its target (s).
STREAM_TAU_S = 0.1


class Link(Protocol):
    """What the loop needs of a robot; see ``ur_link.UrLink``."""

    rate_hz: float

    @property
    def connected(self) -> bool: ...  # noqa: D102

    @property
    def controlling(self) -> bool: ...  # noqa: D102

    def state(self) -> RobotState | None: ...  # noqa: D102

    def servo(self, q: Array, dt_s: float) -> bool: ...  # noqa: D102


class ServoLoop:
    """One arm's loop. ``cycle`` is called at the control rate, ``take`` for each message.

    Args:
        settings: see ``ArmSettings``.
        link: the robot.
        speed_limits: of the joints, rad/s [n].
        send: takes what is to be told.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        settings: ArmSettings,
        link: Link,
        speed_limits: Array,
        send: Callable[[FromServo], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._s, self._link, self._limits, self._send, self._clock = settings, link, speed_limits, send, clock
        self.speed_scale = settings.speed_scale
        self.halted = False
        self.stand_by = "not connected yet"
        self.counts = {"cycles": 0, "late cycles": 0, "reconnections": 0}
        self._state: RobotState | None = None
        self._stamp_ns, self._new_at = 0, -np.inf
        self._follow: Follow | None = None
        self._ending: tuple[MotionStatus, str] | None = None
        self._ended_at = 0.0
        self._stream: Stream | None = None
        self._stream_at = 0.0
        self._setpoint: Array | None = None
        self._velocity = np.zeros_like(speed_limits)
        self._scale = self._progress_s = 0.0
        self._recent: deque[tuple[float, Array]] = deque()

    # --- what the supervisor of the connection asks ---

    @property
    def age_s(self) -> float:
        """Real time since a state with a new time of the controller arrived."""
        return self._clock() - self._new_at

    @property
    def moving(self) -> bool:
        """Whether something is commanded."""
        return self._follow is not None or self._stream is not None

    def problem(self) -> str:
        """Why no motion is taken, in words; empty where the robot is ready."""
        state = self._state
        if not self._link.connected or state is None:
            return self.stand_by or "no connection to the robot"
        if self.age_s > self._s.stale_s:
            return f"the joint state is frozen: nothing new for {self.age_s:.2f} s"
        if state.safety_mode not in MOVES_IN:
            return f"{SAFETY.get(state.safety_mode, f'safety mode {state.safety_mode}')} of the robot"
        if state.robot_mode != RUNNING:
            return f"the robot is not running (robot mode {state.robot_mode}): power it on and release its brakes"
        if not self._link.controlling or state.runtime != PLAYING:
            return self.stand_by or "the control program does not run on the robot"
        return self.stand_by

    # --- messages ---

    def take(self, message: ToServo) -> None:
        """A message; ``Recover`` and ``Close`` belong to the process around the loop."""
        assert not isinstance(message, Recover | Close)
        if isinstance(message, Follow):
            self._begin(message)
        elif isinstance(message, Stream):
            self._begin_stream(message)
        elif isinstance(message, Cancel):
            if self._follow is not None and self._follow.number == message.number:
                self._end_with(MotionStatus.CANCELLED, "")
        elif isinstance(message, Halt):
            self.halted = True
            self._end_with(MotionStatus.STOPPED, "halted")
            self._stream_at = -np.inf
        elif isinstance(message, Release):
            self.halted = False
        elif isinstance(message, SpeedScale):
            self.speed_scale = message.share

    def _begin(self, follow: Follow) -> None:
        if self._follow is not None:
            self._finish(MotionStatus.STOPPED, "a newer motion took over")
        refusal = "halted: release the stop first" if self.halted else self.problem()
        if refusal or self._state is None:
            self._send(Done(follow.number, MotionStatus.STOPPED, refusal))
            return
        # From a stream or a running motion it goes on from what is commanded, else from where the arm is.
        start = self._setpoint if self._setpoint is not None else self._state.q
        self._stream = None
        self._follow, self._ending = follow, None
        self._sampler = Sampler(follow.trajectory, start)
        peak = float((self._sampler.peak_speed() / self._limits).max())
        self._peak_share = max(peak, 1e-9)
        self._progress_s, self._scale = 0.0, 0.0
        self._recent.clear()
        self._setpoint = start.copy()

    def _begin_stream(self, stream: Stream) -> None:
        if self.halted or self.problem() or self._state is None:
            return
        if self._follow is not None:
            self._finish(MotionStatus.STOPPED, "a streamed step took over")
        if self._setpoint is None:
            self._setpoint = self._state.q.copy()
            self._velocity = np.zeros_like(self._limits)
        self._stream, self._stream_at = stream, self._clock()

    # --- the cycle ---

    def cycle(self) -> None:
        """Read, judge, command, tell."""
        self.counts["cycles"] += 1
        dt_s = self._read()
        problem = self.problem()
        if problem and self.moving:
            self._give_up(problem)
        elif self._follow is not None:
            self._advance(dt_s)
        elif self._stream is not None:
            self._advance_stream(dt_s)
        self._send(self._reading(problem))

    def _read(self) -> float:
        """Take the newest state; returns by how much the controller's clock has advanced."""
        state = self._link.state() if self._link.connected else None
        before = self._state
        if state is None or (before is not None and state.time_s == before.time_s):
            return 0.0
        self._state, self._new_at, self._stamp_ns = state, self._clock(), time.time_ns()
        if before is None or state.time_s < before.time_s:
            return 0.0
        dt_s = state.time_s - before.time_s
        if dt_s > LONGEST_STEP_S:
            self.counts["late cycles"] += 1
        return min(dt_s, LONGEST_STEP_S)

    def _advance(self, dt_s: float) -> None:
        assert self._follow is not None
        assert self._state is not None
        wanted = 0.0
        if self._ending is None:
            slider = self._state.slider * self._state.speed_scaling
            wanted = slider * min(1.0, self.speed_scale / self._peak_share)
        # The ramp's time holds for a motion at its greatest speed.
        step = dt_s / self._s.ramp_s
        self._scale += min(max(wanted - self._scale, -step), step)
        self._progress_s = min(self._progress_s + self._scale * dt_s, self._sampler.duration_s)
        self._setpoint, _ = self._sampler.at(self._progress_s)
        self._link.servo(self._setpoint, 1.0 / self._link.rate_hz)
        self._judge(dt_s)

    def _judge(self, dt_s: float) -> None:
        """Whether the motion has ended, well or badly."""
        state = self._state
        assert self._follow is not None
        assert state is not None
        assert self._setpoint is not None
        tolerances = self._follow.tolerances
        still = float(np.abs(state.qd).max()) <= self._s.still_rad_s
        if self._ending is not None:
            if self._scale <= 0.0 and (still or self._clock() - self._ended_at > 2.0 * self._s.ramp_s + LAG_S):
                self._finish(*self._ending)
            return
        if dt_s > 0.0:
            self._recent.append((state.time_s, self._setpoint))
        while self._recent and state.time_s - self._recent[0][0] > LAG_S:
            self._recent.popleft()
        if self._progress_s < self._sampler.duration_s:
            self._done_at = self._clock()
            self._judge_path(state.q, tolerances.path)
            return
        error = np.abs(self._setpoint - state.q)
        if bool((error <= tolerances.goal).all()) and still:
            self._finish(MotionStatus.SUCCEEDED, "")
        elif self._clock() - self._done_at > tolerances.goal_time_s:
            worst = int((error / tolerances.goal).argmax())
            name = self._follow.trajectory.names[worst]
            text = f"{name} is {error[worst]:.3f} away from its goal (allowed {tolerances.goal[worst]:.3g})"
            self._finish(MotionStatus.GOAL_TOLERANCE, text)

    def _judge_path(self, q: Array, allowed: Array) -> None:
        """Compare with the path commanded lately: a servo lags, and lag is no deviation."""
        assert self._follow is not None
        if not self._recent:
            return
        off = np.abs(np.stack([point for _, point in self._recent]) - q) / allowed
        nearest = int(off.max(axis=1).argmin())
        worst = int(off[nearest].argmax())
        if off[nearest, worst] > 1.0:
            name = self._follow.trajectory.names[worst]
            error = off[nearest, worst] * allowed[worst]
            text = f"{name} is {error:.3f} off its path (allowed {allowed[worst]:.3g})"
            # Whatever it met: it is not pushed on.
            self._link.servo(q, 1.0 / self._link.rate_hz)
            self._finish(MotionStatus.PATH_TOLERANCE, text)

    def _advance_stream(self, dt_s: float) -> None:
        assert self._stream is not None
        assert self._setpoint is not None
        since_s = self._clock() - self._stream_at
        overdue = since_s > self._stream.deadman_s
        limits = self._limits * self.speed_scale * (self._state.slider if self._state is not None else 0.0)
        gap = self._stream.target - self._setpoint
        wanted = np.zeros_like(gap) if overdue else gap / max(self._stream.reach_s - since_s, STREAM_TAU_S)
        worst = float((np.abs(wanted) / np.maximum(limits, 1e-9)).max())
        wanted = wanted / max(1.0, worst)
        step = (self._s.stop_rad_s2 if overdue else self._s.stream_rad_s2) * dt_s
        self._velocity = self._velocity + np.clip(wanted - self._velocity, -step, step)
        self._setpoint = self._setpoint + self._velocity * dt_s
        self._link.servo(self._setpoint, 1.0 / self._link.rate_hz)
        if overdue and float(np.abs(self._velocity).max()) < 1e-6:
            self._stream = None
            self._leave()

    # --- endings ---

    def _end_with(self, status: MotionStatus, message: str) -> None:
        """Decelerate along the path, then end with this."""
        if self._follow is not None and self._ending is None:
            self._ending, self._ended_at = (status, message), self._clock()

    def _give_up(self, problem: str) -> None:
        """The robot stops or has stopped by itself: nothing is commanded any more, and nothing is taken up again."""
        if self._follow is not None:
            self._send(Done(self._follow.number, MotionStatus.STOPPED, problem))
        self._follow = self._stream = None
        self._leave()

    def _finish(self, status: MotionStatus, message: str) -> None:
        assert self._follow is not None
        self._send(Done(self._follow.number, status, message))
        self._follow = None
        self._leave()

    def _leave(self) -> None:
        # The controller goes on holding its last target. Leaving the servo would mean to wait for the robot here.
        self._setpoint, self._velocity = None, np.zeros_like(self._limits)

    def _reading(self, problem: str) -> Reading:
        state = self._state
        n = len(self._limits)
        q = state.q if state is not None else np.zeros(n)
        qd = state.qd if state is not None else np.zeros(n)
        setpoint = self._setpoint if self._setpoint is not None else q
        number = self._follow.number if self._follow is not None else (-1 if self._stream is not None else 0)
        return Reading(
            self._stamp_ns,
            tuple(q.tolist()),
            tuple(qd.tolist()),
            tuple(setpoint.tolist()),
            self._link.connected and state is not None,
            problem,
            self.halted,
            state.slider if state is not None else 0.0,
            state.robot_mode if state is not None else -1,
            state.safety_mode if state is not None else -1,
            state.digital_in if state is not None else 0,
            number,
            self._progress_s,
            dict(self.counts),
        )
