# SPDX-License-Identifier: Apache-2.0
"""Decisions and episodes between messages and the types of ``grasp_core``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Quaternion, Transform, Vector3
from std_msgs.msg import Header

from grasp_core.actions import Action, Grasp, GripperMotion, Push, Step
from grasp_core.cell import Intervention
from grasp_core.geometry import quaternion_of
from grasp_core.observation import Observation
from grasp_core.policy import Candidate, Decision
from grasp_episodes.recorded import action_of
from grasp_episodes.ros_conversions import nanoseconds, pose_message
from grasp_episodes.runner import EpisodeRecord, StepRecord
from grasp_interfaces.msg import Decision as DecisionMsg
from grasp_interfaces.msg import EpisodeResult, EpisodeStep, GripperStatus, PolicyAction, StageTime
from grasp_interfaces.msg import Grasp as GraspMsg
from grasp_interfaces.msg import Intervention as InterventionMsg
from grasp_interfaces.msg import Push as PushMsg
from grasp_interfaces.msg import Step as StepMsg

MOTION_NUMBERS = {
    GripperMotion.KEEP: StepMsg.KEEP,
    GripperMotion.OPEN: StepMsg.OPEN,
    GripperMotion.CLOSE: StepMsg.CLOSE,
}


def time_message(stamp_ns: int | None) -> Time:
    """Nanoseconds as a message; none is zero."""
    sec, nanosec = divmod(stamp_ns or 0, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def action_message(action: Action, header: Header, value: float = 0.0) -> PolicyAction:
    """An action; ``header`` names the frame of its poses and the time of the picture decided on."""
    message = PolicyAction(header=header, arm=getattr(action, "arm", None) or "")
    if isinstance(action, Grasp):
        message.kind = PolicyAction.GRASP
        message.grasp = GraspMsg(
            pose=pose_message(action.T_base_tcp),
            width=-1.0 if action.width_m is None else float(action.width_m),
            approach_distance=float(action.approach_m),
            preshape_joints=list(action.preshape),
            preshape_positions=[float(v) for v in action.preshape.values()],
            score=float(value),
        )
    elif isinstance(action, Push):
        message.kind = PolicyAction.PUSH
        (x, y, z), (dx, dy, dz) = np.asarray(action.start).tolist(), np.asarray(action.direction).tolist()
        message.push = PushMsg(
            start=Point(x=x, y=y, z=z), direction=Vector3(x=dx, y=dy, z=dz), length=float(action.length_m)
        )
    elif isinstance(action, Step):
        message.kind = PolicyAction.STEP
        x, y, z = action.T_delta[:3, 3].tolist()
        qx, qy, qz, qw = quaternion_of(action.T_delta).tolist()
        delta = Transform(translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=qx, y=qy, z=qz, w=qw))
        gripper = MOTION_NUMBERS[action.gripper]
        message.step = StepMsg(delta=delta, frame=action.frame, gripper=gripper, terminate=action.terminate)
    else:
        message.kind = PolicyAction.STOP
        message.stop_reason = action.reason
    return message


def decision_of(message: DecisionMsg) -> Decision:
    """A decision without its maps.

    Raises:
        ValueError: an action in it makes no sense.
    """
    others = tuple(Candidate(action_of(c.action), c.value) for c in message.candidates)
    stages = {stage.stage: 1e3 * stage.seconds for stage in message.stages}
    return Decision(action_of(message.action), message.value, others, {}, stages)


def gripper_statuses(observation: Observation) -> list[GripperStatus]:
    """What every arm's gripper reports."""
    found = []
    for name, arm in observation.arms.items():
        g = arm.gripper
        holding = -1 if g.holding is None else int(g.holding)
        found.append(GripperStatus(arm=name, width=g.width_m, effort=g.effort_n, stalled=g.stalled, holding=holding))
    return found


def step_message(step: StepRecord, episode_id: str, base_frame: str) -> EpisodeStep:
    """One action of an episode."""
    outcome, judged = step.outcome, step.judgement
    header = Header(stamp=time_message(step.observed_ns), frame_id=base_frame)
    commanded = PolicyAction(header=header)
    if outcome.commanded is not None:
        commanded = action_message(outcome.commanded, header, step.decision.value)
    gripper = next(iter(outcome.observation.arms.values())).gripper
    return EpisodeStep(
        header=Header(stamp=time_message(step.ended_ns), frame_id=base_frame),
        episode_id=episode_id,
        step=step.step,
        requested=action_message(outcome.requested, header, step.decision.value),
        commanded=commanded,
        executed=outcome.commanded is not None,
        value=float(step.decision.value),
        success=_ternary(judged.success),
        judged_by=judged.by,
        changed=_ternary(judged.changed),
        objects_left=-1 if judged.objects_left is None else judged.objects_left,
        reason=str(outcome.reason),
        message="; ".join(text for text in (outcome.message, judged.message) if text),
        gripper_width=float(gripper.width_m),
        gripper_effort=float(gripper.effort_n),
        observed=time_message(step.observed_ns),
        decided=time_message(step.decided_ns),
        started=time_message(step.started_ns),
        interventions=[_intervention(i) for i in outcome.interventions],
        stages=[StageTime(stage=name, seconds=float(seconds)) for name, seconds in step.stages_s.items()],
    )


def result_message(
    record: EpisodeRecord, episode_id: str, scene: str, seed: int, bag: str, guard: Mapping[str, int]
) -> EpisodeResult:
    """How an episode went; ``guard``: how often each limit stepped in."""
    return EpisodeResult(
        episode_id=episode_id,
        scene=scene,
        seed=seed,
        objects_start=record.objects_start or 0,
        objects_left=-1 if record.objects_left is None else record.objects_left,
        attempts=record.attempts,
        successes=record.successes,
        actions=record.actions,
        duration=record.duration_s,
        ended_by=str(record.ended_by),
        message=record.message,
        limits=list(guard),
        limit_counts=list(guard.values()),
        bag=bag,
    )


def _intervention(found: Intervention) -> InterventionMsg:
    # NaN and infinity are what a guard refuses; a message carries them as they are.
    return InterventionMsg(
        limit=found.limit,
        asked=float(found.asked),
        allowed=float(found.allowed),
        unit=found.unit,
        message=found.message,
    )


def _ternary(value: bool | None) -> int:
    return -1 if value is None else int(value)


def stamp_of(message: DecisionMsg) -> int:
    """When the picture behind a decision was taken (ns)."""
    return nanoseconds(message.action.header.stamp)
