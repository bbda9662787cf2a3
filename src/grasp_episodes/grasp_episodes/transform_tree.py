# SPDX-License-Identifier: Apache-2.0
"""Where frames were, from recorded transforms; ROS-free."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from grasp_core.geometry import Array, invert, rotation_of, transform


class UnknownFrameError(LookupError):
    """A frame was never told of, or two frames hang on different trees."""


@dataclass
class _Edge:
    parent: str
    static: bool
    stamps: list[int] = field(default_factory=list)
    poses: list[Array] = field(default_factory=list)

    def at(self, stamp_ns: int) -> Array:
        if self.static or len(self.stamps) == 1:
            return self.poses[-1]
        after = bisect_right(self.stamps, stamp_ns)
        if after in (0, len(self.stamps)):
            return self.poses[min(after, len(self.poses) - 1)]
        a, b = self.poses[after - 1], self.poses[after]
        share = (stamp_ns - self.stamps[after - 1]) / (self.stamps[after] - self.stamps[after - 1])
        turn = Slerp([0.0, 1.0], Rotation.concatenate([rotation_of(a), rotation_of(b)]))(share)
        return transform((1.0 - share) * a[:3, 3] + share * b[:3, 3], turn)


class TransformTree:
    """Transforms by child frame; those that move are interpolated between their stamps."""

    def __init__(self) -> None:
        self._edges: dict[str, _Edge] = {}

    def add(self, parent: str, child: str, T_parent_child: Array, stamp_ns: int, static: bool) -> None:
        """One transform; stamps of a child must grow, an older one is passed over."""
        edge = self._edges.setdefault(child, _Edge(parent, static))
        if static or not edge.stamps or stamp_ns > edge.stamps[-1]:
            edge.parent = parent
            edge.stamps.append(stamp_ns)
            edge.poses.append(T_parent_child)

    def T(self, a: str, b: str, stamp_ns: int) -> Array:
        """``T_a_b`` [4, 4] at a time.

        Raises:
            UnknownFrameError: there is no way from one to the other.
        """
        up_a, root_a = self._up(a, stamp_ns)
        up_b, root_b = self._up(b, stamp_ns)
        if root_a != root_b:
            raise UnknownFrameError(f"no transform from {b!r} to {a!r}: they hang on {root_b!r} and {root_a!r}")
        return invert(up_a) @ up_b

    def _up(self, frame: str, stamp_ns: int) -> tuple[Array, str]:
        T = np.eye(4)
        for _ in range(len(self._edges) + 1):
            edge = self._edges.get(frame)
            if edge is None:
                return T, frame
            T = edge.at(stamp_ns) @ T
            frame = edge.parent
        raise UnknownFrameError(f"the transforms above {frame!r} go round in a circle")
