# SPDX-License-Identifier: Apache-2.0
"""Settings of the UR driver."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grasp_core.config import Config

Share = Annotated[float, Field(gt=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class ArmSettings(Config):
    """How the arm is driven."""

    robot_ip: Annotated[str, Field(min_length=1)]
    """Address of the controller."""
    rate: Literal["auto", "125", "500"] = "auto"
    """Control rate in Hz; auto: what the controller does, 125 (CB3) or 500 (e-Series)."""
    speed_scale: Share = 0.25
    """Largest share of the joints' speed limits."""
    servo_lookahead_s: Annotated[float, Field(ge=0.03, le=0.2)] = 0.03
    """Smoothing of the controller's servo; the joints lag behind by about as much."""
    servo_gain: Annotated[float, Field(ge=100.0, le=2000.0)] = 300.0
    """Stiffness of the controller's servo."""
    ramp_s: Annotated[float, Field(ge=0.02, le=0.5)] = 0.1
    """Time to come from full speed to rest along the path: cancel, halt, speed slider."""
    stop_rad_s2: Positive = 20.0
    """Deceleration of a streamed step that nothing newer follows."""
    stale_s: Positive = 0.1
    """Joint states that have not changed their time for so long count as frozen."""
    reconnect_s: Positive = 0.5
    """After so long without new states the connection is made anew."""
    path_rad: Positive = 0.08
    """Largest deviation on the way, where a goal does not say."""
    goal_rad: Positive = 0.01
    """Largest deviation at the end, where a goal does not say."""
    goal_time_s: Positive = 1.0
    """How late the goal may be reached, where a goal does not say."""
    still_rad_s: Positive = 0.02
    """Speed below which the arm counts as standing."""
    stream_rad_s2: Positive = 8.0
    """Acceleration of streamed steps."""
    recover_timeout_s: Positive = 30.0
    """Longest time for unlocking, power and brakes."""
    realtime_priority: Annotated[int, Field(ge=0, le=90)] = 0
    """Priority of the servo process among real-time processes (SCHED_FIFO); 0: none. Needs the right to it."""
    answer_timeout_s: Positive = 10.0
    """A servo process that is silent for so long is ended and started again."""
