# SPDX-License-Identifier: Apache-2.0
"""A world behind a socket: it follows what a controller commands, and goes on where that is after a new scene."""

from __future__ import annotations

import socket
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core.plant import PlantCommand, command_of, state_of, to_datagram
from grasp_sim.bridge import Bridge, BridgeSettings
from grasp_sim.cell import load_cell_config
from grasp_sim.plant_server import DELAY_S, RAMP_S, PathTime, PlantServer

READY = np.array([0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0])
DT_S = 0.02


class Controller:
    """Sends a command every cycle from a thread; ``target`` and ``grip`` may be changed."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0.0)
        self.address, self.q, self.target = address, READY.copy(), READY.copy()
        self.grip, self.state, self.over = (0.11, 0), None, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        begin = time.monotonic()
        while not self.over.wait(DT_S):
            step = np.clip(self.target - self.q, -0.5 * DT_S, 0.5 * DT_S)
            self.q = self.q + step
            width, number = self.grip
            command = PlantCommand(
                time.monotonic() - begin, tuple(self.q.tolist()), tuple((step / DT_S).tolist()), width, 20.0, number
            )
            self.socket.sendto(to_datagram(command), self.address)
            try:
                while True:
                    self.state = state_of(self.socket.recv(8192))
            except (BlockingIOError, ConnectionError):
                pass

    def until(self, condition, limit_s=30.0):
        end, gate = time.monotonic() + limit_s, threading.Event()
        while not (self.state is not None and condition(self.state)):
            if time.monotonic() > end:
                return False
            gate.wait(0.02)
        return True

    def close(self):
        self.over.set()
        self.thread.join()
        self.socket.close()


@pytest.fixture(scope="module")
def plant():
    config = load_cell_config("ur5")
    settings = BridgeSettings(renderer="tiny")
    bridge = Bridge(config, settings, lambda _: None, lambda *_: None, lambda _: False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    server = PlantServer(bridge, address, "arm", "gripper")
    bridge.on_scene = server.attach
    bridge.start("single", 1, 0)
    controller = Controller(address)
    yield bridge, server, controller
    controller.close()
    bridge.close()
    server.close()


STEP_S = 1.0 / 240.0


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 100)), min_size=1, max_size=8))
def test_held_up_or_made_up_the_world_stays_on_the_path_without_a_jerk(pauses):
    # A controller goes on by some cycles at once, and is then held up for so many steps of the world.
    newest, path = 1.0, PathTime(1.0)
    for quiet, burst in pauses:
        newest += 0.008 * burst
        for _ in range(quiet):
            before = path.at_s, path.rate
            path.advance(STEP_S, newest)
            assert before[0] <= path.at_s <= newest
            assert -STEP_S / DELAY_S - 1e-9 <= path.rate - before[1] <= STEP_S / RAMP_S + 1e-9
            assert path.rate <= 1.0


def test_the_world_keeps_up_with_a_controller_that_runs():
    newest, path = 0.0, PathTime(0.0)
    for _ in range(480):
        newest += STEP_S
        path.advance(STEP_S, newest)
    assert path.rate == pytest.approx(1.0, abs=0.01)
    assert newest - path.at_s < 2.5 * DELAY_S


def test_the_arm_follows_and_the_answer_carries_the_controllers_time(plant):
    _, server, controller = plant
    controller.target = READY + np.array([0.3, 0, 0, 0, 0, 0.2])
    assert controller.until(lambda s: np.allclose(s.q, controller.target, atol=0.01)), controller.state
    assert abs(server.stamp_ns(plant[0].now_ns) - time.time_ns()) < 5e9


def test_the_gripper_is_told_and_tells(plant):
    controller = plant[2]
    controller.grip = (0.03, 1)
    assert controller.until(lambda s: s.grip == 1 and not s.moving and abs(s.width_m - 0.03) < 2e-3), controller.state
    assert not controller.state.gripped


def test_after_a_new_scene_the_arm_is_where_its_controller_has_it(plant):
    bridge, _, controller = plant
    controller.target = READY + np.array([-0.2, 0, 0, 0, 0, 0])
    assert controller.until(lambda s: np.allclose(s.q, controller.target, atol=0.01))
    bridge.reset("single", 2, 0)
    controller.state = None
    assert controller.until(lambda s: np.allclose(s.q, controller.target, atol=0.01)), controller.state


def test_what_is_no_command_is_left_out(plant):
    _, _, controller = plant
    controller.socket.sendto(b"nonsense", controller.address)
    controller.state = None
    assert controller.until(lambda s: True)
    with pytest.raises(ValueError, match="no command"):
        command_of(b"{}")
