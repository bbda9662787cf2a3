# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the camera tests."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PACKAGE = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def entry_points(tmp_path_factory):
    """The package's entry points, from its own setup.py, where it is not installed."""
    from grasp_core import registry

    try:
        registry.load("grasp.cameras", "folder")
        yield
        return
    except LookupError:
        pass
    base = tmp_path_factory.mktemp("metadata")
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(base)]
    subprocess.run(command, cwd=PACKAGE, check=True, capture_output=True, timeout=60)
    sys.path.insert(0, str(base))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(base))


@pytest.fixture
def seven_scenes(tmp_path):
    """A folder of four frames as 7-scenes has them; depth of frame i is 500 + i mm."""
    import cv2

    for i in range(4):
        stem = tmp_path / f"frame-{i:06d}"
        cv2.imwrite(f"{stem}.color.png", np.full((48, 64, 3), (10 * i, 20, 200), np.uint8))
        depth = np.full((48, 64), 500 + i, np.uint16)
        depth[0, 0], depth[0, 1] = 0, 65535
        cv2.imwrite(f"{stem}.depth.png", depth)
        pose = np.eye(4)
        pose[0, 3] = 0.1 * i
        np.savetxt(f"{stem}.pose.txt", pose)
    np.savetxt(tmp_path / "camera-intrinsics.txt", np.array([[60.0, 0.0, 31.5], [0.0, 60.0, 23.5], [0.0, 0.0, 1.0]]))
    return tmp_path


@pytest.fixture(scope="module")
def ros():
    """rclpy in a domain of its own, on this machine only."""
    domain_coordinator = pytest.importorskip("domain_coordinator")
    rclpy = pytest.importorskip("rclpy")
    with domain_coordinator.domain_id() as domain:
        before = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE")
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        rclpy.init(domain_id=domain)
        yield rclpy
        rclpy.try_shutdown()
        if before is None:
            del os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"]
        else:
            os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = before
