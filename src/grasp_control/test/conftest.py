# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest

from grasp_control.loopback.process import LoopbackProcess, loopback


@pytest.fixture(scope="session")
def session_cb3() -> Iterator[LoopbackProcess]:
    with loopback(controller="cb3", unlock_after_s=0.2) as running:
        yield running


@pytest.fixture
def cb3(session_cb3: LoopbackProcess) -> Iterator[LoopbackProcess]:
    """A CB3 controller with an RG2 behind Modbus, every fault cleared afterwards."""
    yield session_cb3
    session_cb3.fault("clear")
    if session_cb3.fault("state")["safety_mode"] == 7:
        session_cb3.fault("release_emergency_stop")


@pytest.fixture(scope="session")
def e_series() -> Iterator[LoopbackProcess]:
    with loopback(controller="e_series", unlock_after_s=0.2, gripper="digital") as running:
        yield running
