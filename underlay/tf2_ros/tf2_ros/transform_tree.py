# SPDX-License-Identifier: Apache-2.0
"""A tree of coordinate frames whose transforms have a history; no ROS in here.

Times are integer nanoseconds, lengths metres, quaternions x, y, z, w. ``T_a_b`` (float64 [4, 4]) maps b-coordinates
into a.
"""

from __future__ import annotations

import bisect
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
)

DEFAULT_CACHE_TIME_NS = 10_000_000_000
# Upstream takes a quaternion for a rotation if the square of its length is within this of one.
QUATERNION_TOLERANCE = 1e-2


class Sample(NamedTuple):
    """One transform: the parent frame, translation (m) and unit quaternion of ``T_parent_child``."""

    parent: str
    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]


class Sampled(NamedTuple):
    """What an edge is at one time: ``before`` and ``after`` blended, the latter with ``weight`` (0 to 1)."""

    before: Sample
    after: Sample
    weight: float


@dataclass
class Edge:
    """The history of the transform between one child frame and its parent."""

    child: str
    is_static: bool
    authority: str = ""
    stamps_ns: list[int] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def insert(self, stamp_ns: int, sample: Sample, cache_time_ns: int) -> bool:
        """Keep the history sorted and no longer than the cache; False if the sample is older than that or known."""
        if self.is_static:
            self.stamps_ns, self.samples = [stamp_ns], [sample]
            return True
        stamps = self.stamps_ns
        if not stamps or stamp_ns > stamps[-1]:
            stamps.append(stamp_ns)
            self.samples.append(sample)
            expired = bisect.bisect_left(stamps, stamp_ns - cache_time_ns)
            if expired:
                del stamps[:expired], self.samples[:expired]
            return True
        at = bisect.bisect_left(stamps, stamp_ns)
        if stamps[at] == stamp_ns or stamp_ns < stamps[-1] - cache_time_ns:
            return False
        stamps.insert(at, stamp_ns)
        self.samples.insert(at, sample)
        return True

    def covers(self, time_ns: int) -> bool:
        """Whether the edge is known at that time (zero: at its latest)."""
        return self.is_static or time_ns == 0 or self.stamps_ns[0] <= time_ns <= self.stamps_ns[-1]

    def at(self, time_ns: int) -> Sampled:
        """The samples around a time; outside of the history the nearest one (``covers`` tells)."""
        if self.is_static or time_ns == 0:
            return Sampled(self.samples[-1], self.samples[-1], 0.0)
        after = bisect.bisect_left(self.stamps_ns, time_ns)
        if after == len(self.samples) or after == 0 or self.stamps_ns[after] == time_ns:
            only = self.samples[min(after, len(self.samples) - 1)]
            return Sampled(only, only, 0.0)
        before = after - 1
        if self.samples[before].parent != self.samples[after].parent:
            # The frame was hung elsewhere in between: nothing to blend, the older place holds until the newer begins.
            return Sampled(self.samples[before], self.samples[before], 0.0)
        span_ns = self.stamps_ns[after] - self.stamps_ns[before]
        return Sampled(self.samples[before], self.samples[after], (time_ns - self.stamps_ns[before]) / span_ns)


class Chain(NamedTuple):
    """The edges from a frame up to an ancestor, child first, and the frames passed, both ends included."""

    edges: list[tuple[Edge, Sampled]]
    frames: list[str]


class TransformTree:
    """Thread-safe store of transforms between named frames.

    Args:
        cache_time_ns: how long the history of a moving frame is kept, counted from its newest transform.
    """

    def __init__(self, cache_time_ns: int = DEFAULT_CACHE_TIME_NS) -> None:
        if cache_time_ns <= 0:
            raise InvalidArgumentException(f"cache_time is {cache_time_ns} ns; it must be longer than zero")
        self.cache_time_ns = cache_time_ns
        self._edges: dict[str, Edge] = {}
        self._names: set[str] = set()
        self._changed = threading.Condition(threading.RLock())

    # ---- writing

    def set(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        translation: Sequence[float],
        rotation: Sequence[float],
        *,
        is_static: bool = False,
        authority: str = "",
    ) -> bool:
        """Add ``T_parent_child`` (translation in m, quaternion x, y, z, w) as it is at ``stamp_ns``.

        Returns:
            False if it was ignored: a stamp that is there already, or older than the cache goes back.

        Raises:
            InvalidArgumentException: a frame name is empty or both are equal, or a number is not finite, or the
                quaternion is not of unit length.
        """
        parent, child = parent.removeprefix("/"), child.removeprefix("/")
        what = f"transform from '{child}' to '{parent}'"
        if not parent or not child:
            raise InvalidArgumentException(f"{what}: a frame name is empty")
        if parent == child:
            raise InvalidArgumentException(f"{what}: a frame cannot be its own parent")
        if not all(map(math.isfinite, (*translation, *rotation))):
            raise InvalidArgumentException(f"{what}: {(*translation, *rotation)} holds a number that is not finite")
        norm = math.sqrt(sum(value * value for value in rotation))
        if abs(norm * norm - 1.0) > QUATERNION_TOLERANCE:
            raise InvalidArgumentException(
                f"{what}: the quaternion {tuple(rotation)} has length {norm:.6g} instead of 1"
            )
        x, y, z = translation
        qx, qy, qz, qw = (value / norm for value in rotation)
        with self._changed:
            edge = self._edges.get(child)
            if edge is None or edge.is_static != is_static:
                edge = self._edges[child] = Edge(child, is_static)
            edge.authority = authority
            self._names.update((parent, child))
            is_new = edge.insert(stamp_ns, Sample(parent, (x, y, z), (qx, qy, qz, qw)), self.cache_time_ns)
            if is_new:
                self._changed.notify_all()
            return is_new

    def clear(self) -> None:
        """Forget the history of all moving frames; static ones stay, as upstream's do."""
        with self._changed:
            self._edges = {child: edge for child, edge in self._edges.items() if edge.is_static}
            self._names = set(self._edges) | {edge.samples[-1].parent for edge in self._edges.values()}

    # ---- reading

    def frames(self) -> frozenset[str]:
        """Names of all frames, children and parents."""
        with self._changed:
            return frozenset(self._names)

    def edges(self) -> Iterator[Edge]:
        """A snapshot of every edge, sorted by the name of its child frame."""
        with self._changed:
            copies = [
                Edge(edge.child, edge.is_static, edge.authority, edge.stamps_ns.copy(), edge.samples.copy())
                for _, edge in sorted(self._edges.items())
            ]
        return iter(copies)

    def lookup(self, target: str, source: str, time_ns: int) -> tuple[np.ndarray, int]:
        """``T_target_source`` and the time (ns) that it holds at; ``time_ns`` zero asks for the latest common time.

        Raises:
            LookupException: a frame is unknown, or the tree has a loop.
            ConnectivityException: no chain of transforms joins the frames.
            ExtrapolationException: an edge between them is not known at that time.
            InvalidArgumentException: a frame name is empty or begins with a slash.
        """
        with self._changed:
            up, down, stamp_ns = self._resolve(target, source, time_ns)
        T_common_source, T_common_target = _products(up.edges, down.edges)
        return _inverse(T_common_target) @ T_common_source, stamp_ns

    def lookup_full(
        self, target: str, target_time_ns: int, source: str, source_time_ns: int, fixed: str
    ) -> tuple[np.ndarray, int]:
        """``T_target_source`` with the source seen at one time and the target at another, ``fixed`` not moving between.

        Raises:
            TransformException: as ``lookup``.
        """
        with self._changed:
            T_fixed_source, _ = self.lookup(fixed, source, source_time_ns)
            T_target_fixed, stamp_ns = self.lookup(target, fixed, target_time_ns)
        return T_target_fixed @ T_fixed_source, stamp_ns

    def check(self, target: str, source: str, time_ns: int) -> None:
        """Raise what ``lookup`` would raise, without computing anything."""
        with self._changed:
            self._resolve(target, source, time_ns)

    def check_full(self, target: str, target_time_ns: int, source: str, source_time_ns: int, fixed: str) -> None:
        """Raise what ``lookup_full`` would raise, without computing anything."""
        with self._changed:
            self._resolve(fixed, source, source_time_ns)
            self._resolve(target, fixed, target_time_ns)

    def latest_common_time_ns(self, target: str, source: str) -> int:
        """Newest time at which every edge between the frames is known; zero if none of them moves."""
        with self._changed:
            return self._resolve(target, source, 0)[2]

    def chain(self, target: str, source: str, time_ns: int) -> list[str]:
        """The frames passed on the way from ``source`` to ``target``, both included."""
        with self._changed:
            up, down, _ = self._resolve(target, source, time_ns)
        return up.frames + down.frames[-2::-1]

    def wait_until(self, predicate: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until new transforms make ``predicate`` true; its value when the time is over."""
        with self._changed:
            return self._changed.wait_for(predicate, timeout_s)

    # ---- the way between two frames

    def _resolve(self, target: str, source: str, time_ns: int) -> tuple[Chain, Chain, int]:
        """The chains from source and target up to the frame where they meet, and the time they are sampled at."""
        for frame in (target, source):
            self._check_known(frame, f"from '{source}' to '{target}'")
        up, down = self._meet(target, source, time_ns)
        if time_ns == 0:
            moving = [edge.stamps_ns[-1] for edge, _ in up.edges + down.edges if not edge.is_static]
            time_ns = min(moving, default=0)
            if moving:
                up, down = self._meet(target, source, time_ns)
        for edge, _ in up.edges + down.edges:
            if not edge.covers(time_ns):
                raise ExtrapolationException(_extrapolation(edge, time_ns, target, source))
        return up, down, time_ns

    def _meet(self, target: str, source: str, time_ns: int) -> tuple[Chain, Chain]:
        up, down = self._climb(source, time_ns), self._climb(target, time_ns)
        on_the_way_up = {frame: depth for depth, frame in enumerate(up.frames)}
        for depth, frame in enumerate(down.frames):
            if frame in on_the_way_up:
                top = on_the_way_up[frame]
                return (
                    Chain(up.edges[:top], up.frames[: top + 1]),
                    Chain(down.edges[:depth], down.frames[: depth + 1]),
                )
        raise ConnectivityException(
            f"no chain of transforms joins '{source}' and '{target}': '{source}' hangs in the tree of "
            f"'{up.frames[-1]}', '{target}' in that of '{down.frames[-1]}'; publish a transform between the two trees"
        )

    def _climb(self, frame: str, time_ns: int) -> Chain:
        edges: list[tuple[Edge, Sampled]] = []
        frames = [frame]
        seen = {frame}
        while (edge := self._edges.get(frame)) is not None:
            sampled = edge.at(time_ns)
            edges.append((edge, sampled))
            frame = sampled.before.parent
            if frame in seen:
                loop = " -> ".join([*frames[frames.index(frame) :], frame])
                raise LookupException(
                    f"the frames form a loop: {loop}; each needs one parent, and no frame is its own ancestor"
                )
            frames.append(frame)
            seen.add(frame)
        return Chain(edges, frames)

    def _check_known(self, frame: str, request: str) -> None:
        if not frame:
            raise InvalidArgumentException(f"lookup {request}: a frame name is empty")
        if frame.startswith("/"):
            raise InvalidArgumentException(f"lookup {request}: the frame name '{frame}' must not begin with a slash")
        if frame not in self._names:
            raise LookupException(
                f"lookup {request}: the frame '{frame}' does not exist; no transform with that name has been received"
            )


def _seconds(time_ns: int) -> str:
    return f"{time_ns // 1_000_000_000}.{time_ns % 1_000_000_000:09d} s"


def _extrapolation(edge: Edge, time_ns: int, target: str, source: str) -> str:
    first, last = edge.stamps_ns[0], edge.stamps_ns[-1]
    if first == last:
        side, known = ("future" if time_ns > last else "past"), f"at {_seconds(last)} only"
    elif time_ns > last:
        side, known = "future", f"from {_seconds(first)} to {_seconds(last)}, the latest"
    else:
        side, known = "past", f"from {_seconds(first)}, the earliest, to {_seconds(last)}"
    away_s = (time_ns - last if time_ns > last else first - time_ns) / 1e9
    return (
        f"lookup from '{source}' to '{target}' needs extrapolation into the {side}: "
        f"time {_seconds(time_ns)} was requested, but the "
        f"transform from '{edge.child}' to '{edge.samples[-1].parent}' is known {known} ({away_s:.3f} s away)"
    )


def _products(*chains: list[tuple[Edge, Sampled]]) -> list[np.ndarray]:
    """``T_top_bottom`` of each chain; all edges are blended in one go, each along its geodesic."""
    sampled = [sample for chain in chains for _, sample in chain]
    products = [np.eye(4) for _ in chains]
    if not sampled:
        return products
    translation = np.array([s.before.translation for s in sampled])
    rotation = Rotation.from_quat([s.before.rotation for s in sampled])
    weight = np.array([s.weight for s in sampled])[:, None]
    if weight.any():
        translation = (1 - weight) * translation + weight * np.array([s.after.translation for s in sampled])
        turn = rotation.inv() * Rotation.from_quat([s.after.rotation for s in sampled])
        rotation = rotation * Rotation.from_rotvec(weight * turn.as_rotvec())
    T_parent_child = np.tile(np.eye(4), (len(sampled), 1, 1))
    T_parent_child[:, :3, :3] = rotation.as_matrix()
    T_parent_child[:, :3, 3] = translation
    start = 0
    for index, chain in enumerate(chains):
        for T in T_parent_child[start : start + len(chain)]:
            products[index] = T @ products[index]
        start += len(chain)
    return products


def _inverse(T_a_b: np.ndarray) -> np.ndarray:
    T_b_a = np.eye(4)
    T_b_a[:3, :3] = T_a_b[:3, :3].T
    T_b_a[:3, 3] = -T_a_b[:3, :3].T @ T_a_b[:3, 3]
    return T_b_a
