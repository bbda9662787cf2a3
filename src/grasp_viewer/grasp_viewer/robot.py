# SPDX-License-Identifier: Apache-2.0
"""The shapes of a robot and where they are for given joints."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

import coal
import numpy as np
import pinocchio as pin
import trimesh

from grasp_core.geometry import Array
from grasp_description.resources import resolve
from grasp_description.tree import KinematicTree

_log = logging.getLogger(__name__)
_URI = re.compile(r"(?:package|file)://[^\"'<>\s]+")


@dataclass(frozen=True)
class Shape:
    """One visual: triangles in its own frame [m] and a colour 0..255; opacity 0..1."""

    name: str
    mesh: trimesh.Trimesh
    colour: tuple[int, int, int]
    opacity: float


class Robot:
    """Shapes and kinematics of a URDF with everything that stands around it.

    Args:
        urdf: text of the URDF; meshes may be ``package://`` URIs.

    Raises:
        ValueError: it is no URDF.
        FileNotFoundError: a package with meshes is not there.
    """

    def __init__(self, urdf: str) -> None:
        # Pinocchio knows no package of a workspace that is not installed.
        urdf = _URI.sub(lambda match: str(resolve(match.group(0))), urdf)
        self._model = pin.buildModelFromXML(urdf)
        self._data = self._model.createData()
        geometry = pin.buildGeomFromUrdfString(self._model, urdf, pin.GeometryType.VISUAL)
        self._mimics = KinematicTree(urdf).mimics
        self._q = pin.neutral(self._model)
        self.shapes: list[Shape] = []
        self._placed: list[tuple[int, Array]] = []
        for item in geometry.geometryObjects:
            mesh = _triangles(item)
            if mesh is None:
                _log.warning("the shape %s of the robot cannot be shown", item.name)
                continue
            r, g, b, a = item.meshColor
            self.shapes.append(Shape(item.name, mesh, (round(255 * r), round(255 * g), round(255 * b)), float(a)))
            self._placed.append((item.parentJoint, np.array(item.placement.homogeneous)))
        self.set_joints({})

    def set_joints(self, joints: Mapping[str, float]) -> None:
        """Move to joint positions by name [rad or m]; joints that are not named keep theirs, coupled ones follow."""
        for name, value in joints.items():
            self._set(name, value)
        for name, (driver, multiplier, offset) in self._mimics.items():
            if self._model.existJointName(driver) and name not in joints:
                self._set(name, multiplier * self._value(driver) + offset)
        pin.forwardKinematics(self._model, self._data, self._q)
        pin.updateFramePlacements(self._model, self._data)

    def _set(self, name: str, value: float) -> None:
        if not self._model.existJointName(name) or not np.isfinite(value):
            return
        joint = self._model.joints[self._model.getJointId(name)]
        # A joint without limits is kept as a point on the circle.
        self._q[joint.idx_q : joint.idx_q + joint.nq] = (
            (np.cos(value), np.sin(value)) if (joint.nq, joint.nv) == (2, 1) else value
        )

    def _value(self, name: str) -> float:
        joint = self._model.joints[self._model.getJointId(name)]
        part = self._q[joint.idx_q : joint.idx_q + joint.nq]
        return float(np.arctan2(part[1], part[0])) if (joint.nq, joint.nv) == (2, 1) else float(part[0])

    def poses(self) -> list[Array]:
        """``T_root_shape`` [4, 4] of every shape, in their order."""
        return [self._data.oMi[joint].homogeneous @ T for joint, T in self._placed]

    def frame(self, name: str) -> Array | None:
        """``T_root_frame`` [4, 4] of a link; none where there is no such link."""
        if not self._model.existFrame(name):
            return None
        return np.array(self._data.oMf[self._model.getFrameId(name)].homogeneous)


def _triangles(item: pin.GeometryObject) -> trimesh.Trimesh | None:
    """The triangles of a visual; none for a kind of shape that URDF does not have."""
    shape = item.geometry
    if isinstance(shape, coal.Box):
        return trimesh.creation.box(2.0 * np.asarray(shape.halfSide))
    if isinstance(shape, coal.Cylinder):
        return trimesh.creation.cylinder(shape.radius, 2.0 * shape.halfLength, sections=32)
    if isinstance(shape, coal.Sphere):
        return trimesh.creation.icosphere(3, shape.radius)
    if isinstance(shape, coal.Capsule):
        return trimesh.creation.capsule(2.0 * shape.halfLength, shape.radius)
    if isinstance(shape, coal.BVHModelBase):
        corners = np.array(shape.vertices())
        faces = np.array([[t[0], t[1], t[2]] for t in (shape.tri_indices(i) for i in range(shape.num_tris))])
        return trimesh.Trimesh(corners, faces, process=True)
    return None
