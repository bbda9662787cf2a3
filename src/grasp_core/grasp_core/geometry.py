# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms.

A transform ``T_a_b`` is a float64 array [4, 4] that maps b-coordinates into a, so that ``T_a_c = T_a_b @ T_b_c``.
Quaternions are x, y, z, w. Rotation algebra is scipy's; this module only names what the workspace does with it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation, Slerp

Array = NDArray[np.float64]

# Largest deviation of R @ R.T from the identity that still counts as a rotation: what float32 poses reach.
ORTHONORMAL_TOLERANCE = 1e-4


class NotRigidError(ValueError):
    """A matrix that should be a rigid transform is none."""


def transform(translation: ArrayLike = (0.0, 0.0, 0.0), rotation: Rotation | ArrayLike | None = None) -> Array:
    """Make a transform from a translation [3] in metres and a rotation.

    Args:
        translation: metres, [3].
        rotation: a scipy ``Rotation``, a matrix [3, 3], a quaternion x, y, z, w [4], or none for the identity.

    Raises:
        ValueError: the rotation is of another shape or a zero quaternion.
    """
    T = np.eye(4)
    T[:3, 3] = np.asarray(translation, dtype=np.float64)
    if rotation is None:
        return T
    if isinstance(rotation, Rotation):
        T[:3, :3] = rotation.as_matrix()
        return T
    value = np.asarray(rotation, dtype=np.float64)
    if value.shape == (3, 3):
        T[:3, :3] = value
    elif value.shape == (4,):
        T[:3, :3] = Rotation.from_quat(value).as_matrix()
    else:
        raise ValueError(f"rotation has shape {value.shape}; give a Rotation, a matrix [3, 3] or a quaternion [4]")
    return T


def invert(T_a_b: ArrayLike) -> Array:
    """Return ``T_b_a`` of a rigid ``T_a_b`` [..., 4, 4] without a general matrix inverse."""
    T = np.asarray(T_a_b, dtype=np.float64)
    R_t = np.swapaxes(T[..., :3, :3], -1, -2)
    out = np.zeros_like(T)
    out[..., :3, :3] = R_t
    out[..., :3, 3] = -np.einsum("...ij,...j->...i", R_t, T[..., :3, 3])
    out[..., 3, 3] = 1.0
    return out


def apply(T_a_b: ArrayLike, points_b: ArrayLike) -> Array:
    """Map points [..., 3] from b into a."""
    T = np.asarray(T_a_b, dtype=np.float64)
    p = np.asarray(points_b, dtype=np.float64)
    return np.asarray(p @ T[:3, :3].T + T[:3, 3])


def rotation_of(T_a_b: ArrayLike) -> Rotation:
    """The rotation part as a scipy ``Rotation``."""
    return Rotation.from_matrix(np.asarray(T_a_b, dtype=np.float64)[:3, :3])


def quaternion_of(T_a_b: ArrayLike) -> Array:
    """The rotation part as a quaternion x, y, z, w [4] with w >= 0."""
    return np.asarray(rotation_of(T_a_b).as_quat(canonical=True), dtype=np.float64)


def check_rigid(T: ArrayLike, name: str) -> Array:
    """Return ``T`` as float64 [4, 4] after checking that it is a rigid transform.

    Raises:
        NotRigidError: wrong shape, NaN or infinite, last row not 0 0 0 1, rotation not orthonormal or mirrored.
    """
    M = np.asarray(T, dtype=np.float64)
    if M.shape != (4, 4):
        raise NotRigidError(f"{name} has shape {M.shape}; a transform is [4, 4]")
    if not np.isfinite(M).all():
        raise NotRigidError(f"{name} contains NaN or infinity")
    if not np.allclose(M[3], (0.0, 0.0, 0.0, 1.0), atol=1e-9):
        raise NotRigidError(f"{name} has the last row {M[3].tolist()}; it must be 0 0 0 1")
    R = M[:3, :3]
    error = float(np.abs(R @ R.T - np.eye(3)).max())
    if error > ORTHONORMAL_TOLERANCE:
        raise NotRigidError(f"{name}: the rotation is off orthonormal by {error:.2g} (allowed {ORTHONORMAL_TOLERANCE})")
    if np.linalg.det(R) < 0.0:
        raise NotRigidError(f"{name}: the rotation is a reflection (determinant -1)")
    return M


def difference(T_w_a: ArrayLike, T_w_b: ArrayLike) -> tuple[float, float]:
    """Distance between two poses: metres between the origins, radians of the rotation that turns one into the other."""
    A = np.asarray(T_w_a, dtype=np.float64)
    B = np.asarray(T_w_b, dtype=np.float64)
    angle = (rotation_of(A).inv() * rotation_of(B)).magnitude()
    return float(np.linalg.norm(A[:3, 3] - B[:3, 3])), float(angle)


def interpolate(T_w_a: ArrayLike, T_w_b: ArrayLike, count: int) -> Iterator[Array]:
    """Yield ``count`` >= 2 poses from a to b, both included: straight line of the origin, geodesic of the rotation."""
    if count < 2:
        raise ValueError(f"count is {count}; at least the two ends are needed")
    A = np.asarray(T_w_a, dtype=np.float64)
    B = np.asarray(T_w_b, dtype=np.float64)
    slerp = Slerp([0.0, 1.0], Rotation.concatenate([rotation_of(A), rotation_of(B)]))
    for s in np.linspace(0.0, 1.0, count):
        yield transform((1.0 - s) * A[:3, 3] + s * B[:3, 3], slerp(s))


def look_at(eye: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> Array:
    """Pose ``T_w_camera`` of an optical frame (z forward, x right, y down) at ``eye`` that looks at ``target``.

    Raises:
        ValueError: eye and target coincide, or the view direction is parallel to ``up``.
    """
    eye_w = np.asarray(eye, dtype=np.float64)
    z = np.asarray(target, dtype=np.float64) - eye_w
    if np.linalg.norm(z) < 1e-9:
        raise ValueError("eye and target of look_at coincide")
    z /= np.linalg.norm(z)
    x = np.cross(z, np.asarray(up, dtype=np.float64))
    if np.linalg.norm(x) < 1e-9:
        raise ValueError("the view direction of look_at is parallel to up; give another up")
    x /= np.linalg.norm(x)
    return transform(eye_w, np.stack([x, np.cross(z, x), z], axis=1))


def top_down(position: ArrayLike, yaw: float = 0.0) -> Array:
    """Tool pose at ``position`` [3] whose z (approach) points down and whose x (closing direction) lies at ``yaw`` rad.

    At yaw 0 the tool's x is the base's x; yaw turns it about the base's z.
    """
    return transform(position, Rotation.from_euler("z", yaw) * Rotation.from_euler("x", np.pi))
