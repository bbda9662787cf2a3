# SPDX-License-Identifier: Apache-2.0
"""What a policy decided, as messages: for the robot, for the recording, and for those who watch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from geometry_msgs.msg import Transform as TransformMsg
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from grasp_core.actions import Action, Grasp, GripperMotion, Push, Step
from grasp_core.geometry import Array, quaternion_of, transform
from grasp_core.observation import GripperState
from grasp_core.policy import Decision
from grasp_fusion.ros_conversions import image_messages
from grasp_interfaces.msg import Candidate as CandidateMsg
from grasp_interfaces.msg import Decision as DecisionMsg
from grasp_interfaces.msg import Grasp as GraspMsg
from grasp_interfaces.msg import GripperStatus, PolicyAction, StageTime
from grasp_interfaces.msg import Push as PushMsg
from grasp_interfaces.msg import Step as StepMsg

GRIPPER_MOTION = {
    GripperMotion.KEEP: StepMsg.KEEP,
    GripperMotion.OPEN: StepMsg.OPEN,
    GripperMotion.CLOSE: StepMsg.CLOSE,
}
CHOSEN, RUNNER_UP = (0.1, 0.8, 0.2), (0.9, 0.7, 0.1)
# Length and thickness of the fingers that a marker shows (m).
FINGER_M, THICK_M = 0.05, 0.008


def pose_message(T: Array) -> Pose:
    """A pose of ``T`` [4, 4]."""
    x, y, z, w = quaternion_of(T).tolist()
    px, py, pz = T[:3, 3].tolist()
    return Pose(position=Point(x=px, y=py, z=pz), orientation=Quaternion(x=x, y=y, z=z, w=w))


def action_message(action: Action, value: float, header: Header) -> PolicyAction:
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
        message.push = PushMsg(
            start=Point(**_xyz(action.start)),
            direction=Vector3(**_xyz(action.direction)),
            length=float(action.length_m),
        )
    elif isinstance(action, Step):
        message.kind = PolicyAction.STEP
        pose = pose_message(action.T_delta)
        delta = TransformMsg(translation=Vector3(**_xyz(action.T_delta[:3, 3])), rotation=pose.orientation)
        message.step = StepMsg(
            delta=delta, frame=action.frame, gripper=GRIPPER_MOTION[action.gripper], terminate=action.terminate
        )
    else:
        message.kind = PolicyAction.STOP
        message.stop_reason = action.reason
    return message


def decision_message(decision: Decision, header: Header, with_maps: bool) -> DecisionMsg:
    """A decision; its maps only where they are asked for."""
    message = DecisionMsg(
        action=action_message(decision.action, decision.value, header),
        value=float(decision.value),
        candidates=[
            CandidateMsg(action=action_message(c.action, c.value, header), value=float(c.value))
            for c in decision.candidates
        ],
        stages=[StageTime(stage=name, seconds=1e-3 * ms) for name, ms in decision.stages_ms.items()],
    )
    if with_maps:
        message.map_names = list(decision.maps)
        message.maps = [map_message(values, header) for values in decision.maps.values()]
    return message


def map_message(values: NDArray[Any], header: Header) -> Image:
    """A map [H, W] as 32FC1, or colours [H, W, 3] as rgb8."""
    if values.ndim == 3:
        return image_messages(values[None].astype(np.uint8), "rgb8", header)[0]
    return image_messages(values[None].astype(np.float32), "32FC1", header)[0]


def gripper_state(status: GripperStatus) -> GripperState:
    """What a gripper reports."""
    holding = None if status.holding < 0 else bool(status.holding)
    return GripperState(status.width, status.effort, status.stalled, holding, {})


def decision_markers(decision: Decision, header: Header) -> MarkerArray:
    """The chosen action in green, the runners-up in yellow, the fainter the lower their value."""
    top = max([decision.value, *(c.value for c in decision.candidates), 1e-9])
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    markers += _action_markers(decision.action, header, "chosen", 0, ColorRGBA(**_rgb(CHOSEN), a=0.95))
    for number, candidate in enumerate(decision.candidates):
        faint = 0.15 + 0.45 * float(np.clip(candidate.value / top, 0.0, 1.0))
        colour = ColorRGBA(**_rgb(RUNNER_UP), a=faint)
        markers += _action_markers(candidate.action, header, "candidates", 3 * number, colour)
    return MarkerArray(markers=markers)


def _action_markers(action: Action, header: Header, ns: str, number: int, colour: ColorRGBA) -> Iterable[Marker]:
    if isinstance(action, Push):
        end = action.start + action.direction * action.length_m
        arrow = Marker(header=header, ns=ns, id=number, type=Marker.ARROW, color=colour)
        arrow.points = [Point(**_xyz(action.start)), Point(**_xyz(end))]
        arrow.scale = Vector3(x=0.01, y=0.02, z=0.02)
        yield arrow
    elif isinstance(action, Grasp):
        half = 0.5 * (0.1 if action.width_m is None else action.width_m)
        sizes = ((2.0 * half, THICK_M), (THICK_M, FINGER_M), (THICK_M, FINGER_M))
        places = ((0.0, -FINGER_M), (-half, -0.5 * FINGER_M), (half, -0.5 * FINGER_M))
        for part, ((x, z), (wide, long)) in enumerate(zip(places, sizes, strict=True)):
            box = Marker(header=header, ns=ns, id=number + part, type=Marker.CUBE, color=colour)
            box.pose = pose_message(action.T_base_tcp @ transform((x, 0.0, z)))
            box.scale = Vector3(x=max(wide, THICK_M), y=THICK_M, z=long)
            yield box


def _xyz(values: Array) -> dict[str, float]:
    return dict(zip("xyz", np.asarray(values, dtype=np.float64).tolist(), strict=True))


def _rgb(values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip("rgb", values, strict=True))
