# SPDX-License-Identifier: Apache-2.0
"""The servo loop: follows trajectories and streamed steps through a link, once a control cycle.

Time along a trajectory runs by the controller's own clock times a speed factor: the speed slider, the allowed share of
the joints' speed, and a ramp that brings it to zero along the path for a cancel or a halt. Where no new state arrives
the clock stands still, and so does the arm: it holds the last target.
"""

from __future__ import annotations

import time
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
from grasp_control.motions import LAG_S, Following, Streaming
from grasp_control.ur_link import RobotState
from grasp_core.geometry import Array
from grasp_core.ports import MotionStatus

RUNNING, PLAYING = 7, 2
# UR's words for what keeps a robot from moving, by its numbers.
SAFETY = {
    2: "reduced mode",
    3: "protective stop",
    4: "recovery mode",
    5: "safeguard stop",
    6: "system emergency stop",
    7: "emergency stop",
    8: "safety violation",
    9: "safety fault",
    10: "joints being validated",
    12: "automatic mode safeguard stop",
    13: "three-position enabling stop",
}
MODES = {
    -1: "no controller",
    0: "disconnected",
    1: "safety to be confirmed",
    2: "booting",
    3: "power off",
    4: "power on",
    5: "idle",
    6: "backdrive",
    8: "firmware being updated",
}
# UR's reduced mode still moves.
MOVES_IN = frozenset({1, 2})
# Past this the controller's clock is not believed to have advanced in one go (s).
LONGEST_STEP_S = 0.05
NEWER = "a newer motion took over"


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
        self.counts = {"cycles": 0, "late cycles": 0, "reconnections": 0, "streams that met something": 0}
        self._state: RobotState | None = None
        self._stamp_ns, self._new_at = 0, -np.inf
        self._motion: Following | Streaming | None = None
        self._ended_at = self._done_at = 0.0
        self._next: Follow | None = None
        self._newest_number = 0

    # --- what the supervisor of the connection asks ---

    @property
    def age_s(self) -> float:
        """Real time since a state with a new time of the controller arrived."""
        return self._clock() - self._new_at

    @property
    def moving(self) -> bool:
        """Whether something is commanded."""
        return self._motion is not None

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
            mode = MODES.get(state.robot_mode, f"robot mode {state.robot_mode}")
            return f"the robot is not running ({mode}): power it on and release its brakes"
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
            self._cancel(message.number)
        elif isinstance(message, Halt):
            self.halted = True
            self._drop_next(MotionStatus.STOPPED, "halted")
            self._brake(MotionStatus.STOPPED, "halted")
        elif isinstance(message, Release):
            self.halted = False
        elif isinstance(message, SpeedScale):
            self.speed_scale = message.share

    def _begin(self, follow: Follow) -> None:
        refusal = "halted: release the stop first" if self.halted else self.problem()
        if follow.number < self._newest_number:
            refusal = NEWER
        if refusal or self._state is None:
            self._send(Done(follow.number, MotionStatus.STOPPED, refusal))
            return
        self._newest_number = follow.number
        self._drop_next(MotionStatus.STOPPED, NEWER)
        if self._motion is None:
            self._motion = Following(follow, self._state.q, self._limits)
        else:
            # What runs comes to rest first; the new motion begins where it stands then.
            self._next = follow
            self._brake(MotionStatus.STOPPED, NEWER)

    def _begin_stream(self, stream: Stream) -> None:
        if self.halted or self.problem() or self._state is None:
            return
        text = "a streamed step took over"
        self._drop_next(MotionStatus.STOPPED, text)
        before = self._motion
        if not isinstance(before, Streaming):
            if before is None:
                self._motion = Streaming(self._state.q, np.zeros_like(self._limits))
            else:
                self._tell_end(before, *(before.ending or (MotionStatus.STOPPED, text)))
                self._motion = Streaming(before.setpoint, before.velocity)
        assert isinstance(self._motion, Streaming)
        self._motion.take(stream, self._clock())

    def _cancel(self, number: int) -> None:
        if self._next is not None and self._next.number == number:
            self._drop_next(MotionStatus.CANCELLED, "")
        elif isinstance(self._motion, Following) and self._motion.follow.number == number:
            self._brake(MotionStatus.CANCELLED, "")

    # --- the cycle ---

    def cycle(self) -> None:
        """Read, judge, command, tell."""
        self.counts["cycles"] += 1
        dt_s = self._read()
        problem = self.problem()
        if problem and self._motion is not None:
            self._give_up(problem)
        elif isinstance(self._motion, Following):
            self._advance(self._motion, dt_s)
        elif isinstance(self._motion, Streaming):
            self._advance_stream(self._motion, dt_s)
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

    @property
    def _slider(self) -> float:
        """How fast the robot lets time run: its speed slider, and its own limiter's scaling."""
        return self._state.slider * self._state.speed_scaling if self._state is not None else 0.0

    def _command(self, setpoint: Array) -> None:
        self._link.servo(setpoint, 1.0 / self._link.rate_hz)

    def _advance(self, motion: Following, dt_s: float) -> None:
        motion.advance(dt_s, self._slider, self.speed_scale, self._s.ramp_s)
        self._command(motion.setpoint)
        self._judge(motion)

    def _judge(self, motion: Following) -> None:
        """Whether the motion has ended, well or badly."""
        state, tolerances = self._state, motion.follow.tolerances
        assert state is not None
        still = float(np.abs(state.qd).max()) <= self._s.still_rad_s
        if motion.ending is not None:
            waited_s = self._clock() - self._ended_at
            if motion.scale <= 0.0 and (still or self._next or waited_s > 2.0 * self._s.ramp_s + LAG_S):
                self._finish(*motion.ending)
            return
        motion.trail.add(state.time_s, motion.setpoint)
        if not motion.over:
            self._done_at = self._clock()
            self._judge_path(motion, state.q, tolerances.path)
            return
        error = np.abs(motion.setpoint - state.q)
        if bool((error <= tolerances.goal).all()) and still:
            self._finish(MotionStatus.SUCCEEDED, "")
        elif self._clock() - self._done_at > tolerances.goal_time_s:
            worst = int((error / tolerances.goal).argmax())
            name = motion.follow.trajectory.names[worst]
            text = f"{name} is {error[worst]:.3f} away from its goal (allowed {tolerances.goal[worst]:.3g})"
            self._finish(MotionStatus.GOAL_TOLERANCE, text)

    def _judge_path(self, motion: Following, q: Array, allowed: Array) -> None:
        """Compare with the path commanded lately: a servo lags, and lag is no deviation."""
        found = motion.trail.farthest(q, allowed)
        if found is None:
            return
        worst, error = found
        # Whatever it met: it is not pushed on.
        self._command(q)
        name = motion.follow.trajectory.names[worst]
        self._drop_next(MotionStatus.STOPPED, f"{name} met something before this motion began")
        self._finish(MotionStatus.PATH_TOLERANCE, f"{name} is {error:.3f} off its path (allowed {allowed[worst]:.3g})")

    def _advance_stream(self, motion: Streaming, dt_s: float) -> None:
        now_s, state = self._clock(), self._state
        assert state is not None
        limits = self._limits * self.speed_scale * self._slider
        motion.advance(now_s, dt_s, limits, self._s.stop_rad_s2, self._s.stream_rad_s2)
        motion.trail.add(state.time_s, motion.setpoint)
        if motion.trail.farthest(state.q, np.full_like(self._limits, self._s.path_rad)) is not None:
            # As with a trajectory: it is not pushed on. Nobody waits for an answer; it is counted.
            self._command(state.q)
            self.counts["streams that met something"] += 1
            self._motion = None
            self._start_next()
            return
        self._command(motion.setpoint)
        if motion.resting(now_s):
            self._motion = None
            self._start_next(motion.setpoint)

    # --- endings ---

    def _brake(self, status: MotionStatus, message: str) -> None:
        """Bring what runs to rest along its path; a trajectory then ends with this."""
        if isinstance(self._motion, Streaming):
            self._motion.brake()
        elif self._motion is not None and self._motion.ending is None:
            self._motion.ending, self._ended_at = (status, message), self._clock()

    def _drop_next(self, status: MotionStatus, message: str) -> None:
        """The motion that waits for the one before to come to rest does not begin."""
        if self._next is not None:
            self._send(Done(self._next.number, status, message))
            self._next = None

    def _start_next(self, setpoint: Array | None = None) -> None:
        follow, self._next = self._next, None
        if follow is not None and self._state is not None:
            self._motion = Following(follow, self._state.q if setpoint is None else setpoint, self._limits)

    def _give_up(self, problem: str) -> None:
        """The robot stops or has stopped by itself: nothing is commanded any more, and nothing is taken up again."""
        self._drop_next(MotionStatus.STOPPED, problem)
        if isinstance(self._motion, Following):
            self._tell_end(self._motion, MotionStatus.STOPPED, problem)
        # The controller goes on holding its last target. Leaving the servo would mean to wait for the robot here.
        self._motion = None

    def _tell_end(self, motion: Following, status: MotionStatus, message: str) -> None:
        self._send(Done(motion.follow.number, status, message))

    def _finish(self, status: MotionStatus, message: str) -> None:
        motion, self._motion = self._motion, None
        assert isinstance(motion, Following)
        self._tell_end(motion, status, message)
        self._start_next(motion.setpoint)

    def _reading(self, problem: str) -> Reading:
        state = self._state
        n = len(self._limits)
        q = state.q if state is not None else np.zeros(n)
        qd = state.qd if state is not None else np.zeros(n)
        motion = self._motion
        setpoint = motion.setpoint if motion is not None else q
        number = motion.follow.number if isinstance(motion, Following) else (-1 if motion is not None else 0)
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
            motion.progress_s if isinstance(motion, Following) else 0.0,
            dict(self.counts),
        )
