# SPDX-License-Identifier: Apache-2.0
"""The joints of a URDF and the transforms that they make; no ROS in here.

Metres, radians, quaternions x, y, z, w. The format: https://wiki.ros.org/urdf/XML/joint
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

TURNING = frozenset({"revolute", "continuous"})
MOVING = TURNING | {"prismatic"}
# A joint state holds one number for each joint, which cannot say where these are.
WITHOUT_POSITION = frozenset({"planar", "floating"})


class UrdfError(ValueError):
    """The robot description cannot be used; the text says which part."""


class Mimic(NamedTuple):
    """The position of a joint as ``multiplier`` times that of ``joint`` plus ``offset`` (rad or m)."""

    joint: str
    multiplier: float
    offset: float


@dataclass(frozen=True)
class Joint:
    """One joint; at position zero the child's frame is at ``translation`` (m) and ``rotation`` in the parent's."""

    name: str
    kind: str
    parent: str
    child: str
    translation: tuple[float, ...]
    rotation: tuple[float, ...]
    axis: tuple[float, ...]
    mimic: Mimic | None

    @property
    def is_static(self) -> bool:
        """Whether the child never moves; a planar joint is taken for fixed, as upstream does."""
        return self.kind in ("fixed", "planar")


class LinkPose(NamedTuple):
    """Where a child link is in its parent: translation (m) and quaternion of ``T_parent_child``."""

    parent: str
    child: str
    translation: tuple[float, ...]
    rotation: tuple[float, ...]


def _numbers(element: ElementTree.Element | None, attribute: str, default: str, where: str) -> tuple[float, ...]:
    text = default if element is None else element.get(attribute, default)
    try:
        numbers = tuple(float(word) for word in text.split())
    except ValueError as error:
        raise UrdfError(f"{where}: {attribute}='{text}' holds something that is no number") from error
    if len(numbers) != len(default.split()) or not all(map(math.isfinite, numbers)):
        raise UrdfError(f"{where}: {attribute}='{text}' must hold {len(default.split())} finite numbers")
    return numbers


def _required(element: ElementTree.Element | None, attribute: str, where: str) -> str:
    value = None if element is None else element.get(attribute)
    if not value:
        raise UrdfError(f"{where}: the attribute '{attribute}' is missing")
    return value


def _joint(element: ElementTree.Element) -> Joint:
    name = _required(element, "name", "a joint")
    where = f"joint '{name}'"
    kind = _required(element, "type", where)
    if kind not in MOVING | WITHOUT_POSITION | {"fixed"}:
        raise UrdfError(f"{where}: unknown type '{kind}'")
    origin = element.find("origin")
    axis = np.array(_numbers(element.find("axis"), "xyz", "1 0 0", where))
    length = float(np.linalg.norm(axis))
    if kind in MOVING and length < 1e-9:
        raise UrdfError(f"{where}: the axis has no direction")
    mimic = None
    if (mimicking := element.find("mimic")) is not None:
        mimic = Mimic(
            _required(mimicking, "joint", f"{where}, mimic"),
            _numbers(mimicking, "multiplier", "1", where)[0],
            _numbers(mimicking, "offset", "0", where)[0],
        )
    return Joint(
        name=name,
        kind=kind,
        parent=_required(element.find("parent"), "link", f"{where}, parent"),
        child=_required(element.find("child"), "link", f"{where}, child"),
        translation=_numbers(origin, "xyz", "0 0 0", where),
        # URDF's roll, pitch, yaw turn about the axes of the parent, in this order.
        rotation=tuple(Rotation.from_euler("xyz", _numbers(origin, "rpy", "0 0 0", where)).as_quat().tolist()),
        axis=tuple((axis / max(length, 1e-9)).tolist()),
        mimic=mimic,
    )


def _check_tree(links: list[str], joints: list[Joint]) -> str:
    """Name of the root link; UrdfError if the links and joints are no tree."""
    for kind, names in (("link", links), ("joint", [joint.name for joint in joints])):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UrdfError(f"the {kind} '{twice[0]}' is defined twice")
    parent_of: dict[str, str] = {}
    for joint in joints:
        for link in (joint.parent, joint.child):
            if link not in links:
                raise UrdfError(f"joint '{joint.name}': the link '{link}' is not defined")
        if joint.child in parent_of:
            raise UrdfError(f"joint '{joint.name}': the link '{joint.child}' hangs on another joint already")
        parent_of[joint.child] = joint.parent
    roots = [link for link in links if link not in parent_of]
    if len(roots) != 1:
        raise UrdfError(
            f"a robot has one root link, this one has {len(roots)}: {', '.join(roots) or 'its links form a loop'}"
        )
    for link in links:
        at, steps = link, 0
        while at in parent_of:
            at, steps = parent_of[at], steps + 1
            if steps > len(links):
                raise UrdfError(f"the link '{link}' is in a loop of joints")
    return roots[0]


@dataclass(frozen=True)
class RobotTree:
    """The joints of a robot, ready to turn positions into transforms.

    Attributes:
        name: of the robot.
        root: name of the link that hangs on no joint.
        joints: all of them by name, in the order of the file.
    """

    name: str
    root: str
    joints: Mapping[str, Joint]
    _moving: tuple[Joint, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        moving = tuple(joint for joint in self.joints.values() if joint.kind in MOVING)
        object.__setattr__(self, "_moving", moving)
        for joint in moving:
            self._check_mimic(joint)

    @classmethod
    def from_urdf(cls, xml: str) -> RobotTree:
        """Read a robot description.

        Raises:
            UrdfError: no XML, no robot, or its links and joints are no tree.
        """
        try:
            robot = ElementTree.fromstring(xml)
        except ElementTree.ParseError as error:
            raise UrdfError(f"the robot description is no XML: {error}") from error
        if robot.tag != "robot":
            raise UrdfError(f"the robot description begins with <{robot.tag}> instead of <robot>")
        links = [_required(link, "name", "a link") for link in robot.findall("link")]
        joints = [_joint(element) for element in robot.findall("joint")]
        root = _check_tree(links, joints)
        return cls(robot.get("name", ""), root, {joint.name: joint for joint in joints})

    def _check_mimic(self, joint: Joint) -> None:
        passed = [joint.name]
        while joint.mimic is not None:
            leader = self.joints.get(joint.mimic.joint)
            if leader is None or leader.kind not in MOVING:
                raise UrdfError(
                    f"joint '{joint.name}' mimics '{joint.mimic.joint}', which is no moving joint of this robot"
                )
            if leader.name in passed:
                raise UrdfError(f"the joints {', '.join(passed)} mimic each other in a loop")
            passed.append(leader.name)
            joint = leader

    def without_position(self) -> list[Joint]:
        """The planar and floating joints, whose place no joint state can tell."""
        return [joint for joint in self.joints.values() if joint.kind in WITHOUT_POSITION]

    def static_poses(self) -> list[LinkPose]:
        """Poses of the links that never move in their parents."""
        return [
            LinkPose(joint.parent, joint.child, joint.translation, joint.rotation)
            for joint in self.joints.values()
            if joint.is_static
        ]

    def with_mimics(self, positions: Mapping[str, float]) -> dict[str, float]:
        """Add the joints that follow those in ``positions`` (rad or m); a position that is given is kept."""
        complete = dict(positions)
        for joint in self._moving:
            factor, offset, leader = 1.0, 0.0, joint
            while leader.name not in complete and leader.mimic is not None:
                offset += factor * leader.mimic.offset
                factor *= leader.mimic.multiplier
                leader = self.joints[leader.mimic.joint]
            if leader.name in complete:
                complete[joint.name] = factor * complete[leader.name] + offset
        return complete

    def moving_poses(self, positions: Mapping[str, float]) -> list[LinkPose]:
        """Poses of the links whose joints have a position (rad or m) or mimic one that has; other names are ignored."""
        complete = self.with_mimics(positions)
        joints = [joint for joint in self._moving if joint.name in complete]
        if not joints:
            return []
        along = np.array([joint.axis for joint in joints]) * np.array([[complete[joint.name]] for joint in joints])
        turns = np.array([[joint.kind in TURNING] for joint in joints])
        origin = Rotation.from_quat([joint.rotation for joint in joints])
        translation = np.array([joint.translation for joint in joints]) + origin.apply(np.where(turns, 0.0, along))
        rotation = (origin * Rotation.from_rotvec(np.where(turns, along, 0.0))).as_quat()
        return [
            LinkPose(joint.parent, joint.child, tuple(t), tuple(q))
            for joint, t, q in zip(joints, translation.tolist(), rotation.tolist(), strict=True)
        ]


class PublishGate:
    """Lets joint states through no faster than the publish frequency, judged by their stamps, joint by joint."""

    def __init__(self) -> None:
        self._last_ns: dict[str, int] = {}

    def admit(self, names: list[str], stamp_ns: int, interval_ns: int) -> bool:
        """Whether a state is due: a joint of it is new, or was published an interval ago or longer."""
        if not any(name not in self._last_ns or stamp_ns >= self._last_ns[name] + interval_ns for name in names):
            return False
        self._last_ns.update(dict.fromkeys(names, stamp_ns))
        return True

    def reset(self) -> None:
        """Forget everything, after a jump of the clock."""
        self._last_ns.clear()
