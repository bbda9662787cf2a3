# SPDX-License-Identifier: Apache-2.0
"""A URDF's joints as a tree, and the chain of moving joints from its root to any of its links."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from . import chain as kernels

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Chain:
    """The moving joints from the root to one frame, as flat arrays for the kernels in `chain`.

    Attributes:
        joints: places of the driving joints in the model's full vector, int [m].
        multipliers, offsets: position of a chain joint = multiplier * q[joint] + offset, float64 [m] each.
        origins, axes, prismatic: see `chain`.
    """

    joints: NDArray[np.int64]
    multipliers: Array
    offsets: Array
    origins: Array
    axes: Array
    prismatic: NDArray[np.bool_]

    def values(self, q: Array) -> Array:
        """Positions of the chain's joints [m] for the model's full vector."""
        return self.multipliers * q[self.joints] + self.offsets

    def frames(self, q: Array) -> tuple[Array, Array, Array]:
        """Tip pose [4, 4], and each chain joint's place and axis in the root frame [m, 3]."""
        count = len(self.joints)
        T, points, directions = np.empty((4, 4)), np.empty((count, 3)), np.empty((count, 3))
        kernels.chain_frames(self.values(q), self.origins, self.axes, self.prismatic, T, points, directions)
        return T, points, directions


class KinematicTree:
    """Joints and links of a URDF."""

    def __init__(self, urdf: str) -> None:
        """Read URDF text."""
        root = ElementTree.fromstring(urdf)
        self.links: tuple[str, ...] = tuple(link.get("name", "") for link in root.findall("link"))
        self._joint_above: dict[str, ElementTree.Element] = {}
        # coupled joint to (driving joint, multiplier, offset)
        self.mimics: dict[str, tuple[str, float, float]] = {}
        for joint in root.findall("joint"):
            self._joint_above[_attribute(joint, "child", "link")] = joint
            mimic = joint.find("mimic")
            if mimic is not None:
                factors = float(mimic.get("multiplier", "1")), float(mimic.get("offset", "0"))
                self.mimics[joint.get("name", "")] = (mimic.get("joint", ""), *factors)

    def parent_of(self, link: str) -> tuple[str, bool] | None:
        """The link that `link` hangs on and whether a moving joint lies between them; none for the root."""
        joint = self._joint_above.get(link)
        return None if joint is None else (_attribute(joint, "parent", "link"), joint.get("type") != "fixed")

    def below(self, top: str) -> set[str]:
        """`top` and all links that hang on it."""
        found = set()
        for link in self.links:
            here: str | None = link
            while here is not None and here != top:
                above = self.parent_of(here)
                here = above[0] if above else None
            if here == top:
                found.add(link)
        return found

    def joints_between(self, base: str, tip: str) -> list[str]:
        """Names of all joints from link `base` down to link `tip`.

        Raises:
            ValueError: `tip` does not hang on `base`.
        """
        names = []
        link = tip
        while link != base:
            if link not in self._joint_above:
                raise ValueError(f"there is no chain from {base} to {tip}")
            names.append(self._joint_above[link].get("name", ""))
            link = _attribute(self._joint_above[link], "parent", "link")
        return names[::-1]

    def chain(self, frame: str, index: Callable[[str], int]) -> Chain:
        """The chain from the root to a frame; `index` gives an actuated joint's place in the full vector.

        Raises:
            KeyError: there is no such link.
        """
        if frame not in self.links:
            raise KeyError(f"no frame {frame}; there are {', '.join(self.links)}")
        path = []
        link = frame
        while link in self._joint_above:
            path.append(self._joint_above[link])
            link = _attribute(path[-1], "parent", "link")
        joints, multipliers, offsets, origins, axes, prismatic = [], [], [], [], [], []
        T = np.eye(4)
        for joint in reversed(path):
            T = T @ _origin(joint)
            if joint.get("type") == "fixed":
                continue
            name = joint.get("name", "")
            of, multiplier, offset = self.mimics.get(name, (name, 1.0, 0.0))
            axis = np.array([float(value) for value in _attribute(joint, "axis", "xyz").split()])
            joints.append(index(of))
            multipliers.append(multiplier)
            offsets.append(offset)
            origins.append(T)
            axes.append(axis / np.linalg.norm(axis))
            prismatic.append(joint.get("type") == "prismatic")
            T = np.eye(4)
        return Chain(
            joints=np.array(joints, dtype=np.int64),
            multipliers=np.array(multipliers, dtype=np.float64),
            offsets=np.array(offsets, dtype=np.float64),
            origins=np.ascontiguousarray([*origins, T]),
            axes=np.array(axes, dtype=np.float64).reshape(-1, 3),
            prismatic=np.array(prismatic, dtype=np.bool_),
        )


def _attribute(joint: ElementTree.Element, tag: str, key: str) -> str:
    child = joint.find(tag)
    if child is None or child.get(key) is None:
        raise ValueError(f"joint {joint.get('name')} has no <{tag} {key}=...>")
    return str(child.get(key))


def _origin(joint: ElementTree.Element) -> Array:
    origin = joint.find("origin")
    T = np.eye(4)
    if origin is not None:
        roll, pitch, yaw = (float(value) for value in origin.get("rpy", "0 0 0").split())
        T[:3, :3] = pin.rpy.rpyToMatrix(roll, pitch, yaw)
        T[:3, 3] = [float(value) for value in origin.get("xyz", "0 0 0").split()]
    return T
