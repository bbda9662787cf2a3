# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.camera import CameraFrame, Intrinsics
from grasp_fusion.rectify import Rectifier
from grasp_fusion.synchroniser import StampSynchroniser
from grasp_fusion.worker import Worker


def test_stamps_within_the_slop_match():
    both = StampSynchroniser(("colour", "depth"), slop_ns=10)
    assert both.add("colour", 100, "c100") is None
    assert both.add("depth", 120, "d120") is None
    assert both.add("colour", 125, "c125") == ("c125", "d120")
    assert both.unmatched == 1


@settings(deadline=None)
@given(jitter=st.lists(st.integers(-4, 4), min_size=1, max_size=30), late=st.integers(0, 3))
def test_every_picture_finds_its_partner(jitter, late):
    """Depth arrives up to three pictures late and a few nanoseconds off; all pairs are found, in order."""
    both = StampSynchroniser(("colour", "depth"), slop_ns=5)
    events = [(100 * n, 1, "colour", 100 * n) for n in range(len(jitter))]
    events += [(100 * (n + late), 2, "depth", 100 * n + j) for n, j in enumerate(jitter)]
    found = [match for _, _, topic, stamp in sorted(events) if (match := both.add(topic, stamp, stamp)) is not None]
    assert [match[0] for match in found] == [100 * n for n in range(len(jitter))]
    assert all(abs(colour - depth) <= 5 for colour, depth in found)
    assert both.unmatched == 0


def test_what_never_matches_does_not_pile_up():
    both = StampSynchroniser(("colour", "depth"), slop_ns=1, depth=4)
    for n in range(100):
        assert both.add("colour", 10 * n, n) is None
    assert both.unmatched == 96
    with pytest.raises(ValueError, match="slop_ns"):
        StampSynchroniser(("colour",), slop_ns=-1)


def test_a_worker_does_everything_in_order():
    seen = []
    worker = Worker(seen.append, length=100, on_refusal=lambda error: None)
    assert all(worker.submit(n) for n in range(50))
    worker.drain()
    assert seen == list(range(50))
    worker.close()
    assert (worker.state.taken, worker.state.done, worker.state.dropped) == (50, 50, 0)


def test_a_worker_that_is_late_drops_the_oldest_and_counts():
    gate, started, seen = threading.Event(), threading.Event(), []

    def job(item: int) -> None:
        started.set()
        assert gate.wait(10)
        seen.append(item)

    worker = Worker(job, length=2, on_refusal=lambda error: None)
    worker.submit(0)
    assert started.wait(10)
    assert [worker.submit(n) for n in (1, 2, 3, 4)] == [True, True, False, False]
    gate.set()
    worker.close()
    assert seen == [0, 3, 4]
    assert worker.state.dropped == 2


def test_a_refused_item_is_told_and_the_next_is_done():
    told = []

    def job(item: int) -> None:
        if item == 1:
            raise ValueError("one is refused")

    worker = Worker(job, length=5, on_refusal=told.append)
    for n in range(3):
        worker.submit(n)
    worker.drain()
    state = worker.state
    assert (state.done, state.refused, state.last_error) == (2, 1, "one is refused")
    worker.close()
    assert [str(error) for error in told] == ["one is refused"]


def test_a_broken_job_is_not_hidden():
    def job(item: int) -> None:
        raise RuntimeError("broken")

    worker = Worker(job, length=5, on_refusal=lambda error: None)
    worker.submit(1)
    with pytest.raises(RuntimeError, match="broken"):
        worker.close()


def test_rectified_frames_follow_the_pinhole():
    bent = Intrinsics(160, 120, 150.0, 150.0, 80.0, 60.0, (0.2, 0.0, 0.0, 0.0, 0.0))
    u, v = np.meshgrid(np.arange(160.0), np.arange(120.0))
    x, y = (u - 80) / 150, (v - 60) / 150
    # Depth that tells the column at which the straight camera would see it, as the bent lens shows it.
    for _ in range(20):
        grow = 1 + 0.2 * (x * x + y * y)
        x, y = (u - 80) / 150 / grow, (v - 60) / 150 / grow
    depth = (1.0 + 0.001 * (x * 150 + 80)).astype(np.float32)
    frame = CameraFrame(bent, np.eye(4), 0, np.zeros((120, 160, 3), np.uint8), depth)
    straight = Rectifier()(frame)
    assert straight.intrinsics.distortion == ()
    inner = (slice(10, -10), slice(15, -15))
    np.testing.assert_allclose(straight.depth_m[inner], (1.0 + 0.001 * u)[inner], atol=0.0008)
    assert np.isnan(straight.depth_m[0, 0]), "the lens does not reach the corner"
    same = replace(frame, intrinsics=replace(bent, distortion=()))
    assert Rectifier()(same) is same


def test_the_library_needs_neither_ros_nor_torch():
    script = (
        "import sys, grasp_fusion.render, grasp_fusion.surface, grasp_fusion.action_views, grasp_fusion.heightmap;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'rclpy', 'open3d', 'pybullet')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=100).returncode == 0
