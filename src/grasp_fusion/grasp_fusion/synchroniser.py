# SPDX-License-Identifier: Apache-2.0
"""Bringing together what several topics say about the same moment."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any


class StampSynchroniser:
    """Matches one message of every topic whose stamps lie within a slop of each other.

    A match takes, from every topic, the message whose stamp is nearest to the newest one; everything older than what
    was matched is forgotten, so stamps of matches only grow.

    Args:
        topics: names of the topics to match.
        slop_ns: largest difference between the stamps of a match.
        depth: messages kept per topic while they wait for the others.
    """

    def __init__(self, topics: tuple[str, ...], slop_ns: int, depth: int = 10) -> None:
        if not topics or slop_ns < 0 or depth < 1:
            raise ValueError(
                f"topics {topics}, slop_ns {slop_ns}, depth {depth}: one topic, 0 ns and depth 1 are least"
            )
        self._waiting: dict[str, OrderedDict[int, Any]] = {topic: OrderedDict() for topic in topics}
        self._slop_ns = slop_ns
        self._depth = depth
        self._lock = threading.Lock()
        self.unmatched = 0
        """Messages forgotten without a match."""

    def add(self, topic: str, stamp_ns: int, message: Any) -> tuple[Any, ...] | None:
        """Take a message; returns one message a topic, in the order of the topics, when that completes a match."""
        with self._lock:
            queue = self._waiting[topic]
            queue[stamp_ns] = message
            while len(queue) > self._depth:
                queue.popitem(last=False)
                self.unmatched += 1
            stamps = []
            for others in self._waiting.values():
                nearest = min(others, key=lambda stamp: abs(stamp - stamp_ns), default=None)
                if nearest is None or abs(nearest - stamp_ns) > self._slop_ns:
                    return None
                stamps.append(nearest)
            return tuple(self._take(name, stamp) for name, stamp in zip(self._waiting, stamps, strict=True))

    def _take(self, topic: str, stamp_ns: int) -> Any:
        """Remove a message and what is older."""
        queue = self._waiting[topic]
        message = queue.pop(stamp_ns)
        for old in [stamp for stamp in queue if stamp < stamp_ns]:
            del queue[old]
            self.unmatched += 1
        return message
