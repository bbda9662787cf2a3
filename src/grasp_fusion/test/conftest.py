# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import numpy as np
import pytest

from grasp_core.camera import Intrinsics
from grasp_core.geometry import Array, look_at
from grasp_fusion.analytic_scene import Box, Plane, Shape, Sphere
from grasp_fusion.config import TsdfConfig
from grasp_fusion.volume import TsdfVolume

TABLE = Plane()
SPHERE = Sphere((0.04, 0.05, 0.05), 0.05)
BOX = Box((-0.14, -0.1, 0.0), (-0.04, 0.0, 0.08))


@pytest.fixture(scope="session")
def scene() -> tuple[Shape, ...]:
    """A ball and a box on a table, around the base's origin."""
    return (TABLE, SPHERE, BOX)


@pytest.fixture(scope="session")
def camera() -> Intrinsics:
    return Intrinsics.from_fov(160, 120, 0.75)


@pytest.fixture(params=["numba", "torch"])
def backend(request: pytest.FixtureRequest) -> str:
    """Either back end; torch on the CPU, on one thread, as the machine that tests may be busy."""
    if request.param == "torch":
        torch = pytest.importorskip("torch", reason="torch is not installed")
        torch.set_num_threads(1)
    return request.param


MakeVolume = Callable[..., TsdfVolume]


@pytest.fixture
def make_volume(backend: str) -> MakeVolume:
    """A volume over the scene: make_volume(**settings) in the back end under test."""

    def make(**settings: object) -> TsdfVolume:
        values = {
            "origin_m": (-0.2, -0.2, -0.04),
            "size_m": (0.4, 0.4, 0.24),
            "max_camera_speed_m_s": None,
            "max_camera_turn_rad_s": None,
            "backend": backend,
            "device": "cpu",
            "threads": 2,
        }
        return TsdfVolume(TsdfConfig.from_mapping({**values, **settings}))

    return make


@pytest.fixture(scope="session")
def ring() -> Callable[..., list[Array]]:
    """ring(count, radius_m, height_m, phase): camera poses on a circle, looking at the scene."""

    def make(count: int, radius_m: float = 0.35, height_m: float = 0.4, phase: float = 0.0) -> list[Array]:
        angles = phase + np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
        eyes = [(radius_m * np.cos(a), radius_m * np.sin(a), height_m) for a in angles]
        return [look_at(eye, (0.0, 0.0, 0.03)) for eye in eyes]

    return make
