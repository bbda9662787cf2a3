# SPDX-License-Identifier: Apache-2.0
"""How a world that runs in real time shares its thread between physics and pictures; with a clock of its own."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from grasp_core.camera import CameraFrame
from grasp_sim import bridge as bridge_module
from grasp_sim.bridge import STARVED_S, Bridge, BridgeSettings
from grasp_sim.cell import load_cell_config

STEP_S = 1.0 / 240.0


class Machine:
    """A clock that steps and pictures use up, and the world that they belong to."""

    def __init__(self, config, step_takes_s, picture_takes_s, until_s):
        self.now, self.time_s, self.until_s = 0.0, 0.0, until_s
        self.step_takes_s, self.picture_takes_s = step_takes_s, picture_takes_s
        self.engine = SimpleNamespace(settings=SimpleNamespace(step_hz=240))
        self.cameras = {name: SimpleNamespace(frame=lambda _, name=name: self.render(name)) for name in config.cameras}
        self.pictures = {name: [0.0] for name in config.cameras}
        self.intrinsics = {name: camera.intrinsics for name, camera in config.cameras.items()}

    @property
    def now_ns(self):
        return round(self.time_s * 1e9)

    def monotonic(self):
        self.now += 1e-6
        return self.now

    def step(self):
        self.now += self.step_takes_s
        self.time_s += STEP_S

    def render(self, name):
        self.now += self.picture_takes_s
        self.pictures[name].append(self.now)
        return CameraFrame(self.intrinsics[name], np.eye(4), self.now_ns, None, None)

    # The bridge's stop: its wait passes the time.
    def is_set(self):
        return self.now >= self.until_s

    def wait(self, seconds):
        self.now += max(seconds, 1e-6)


def run(monkeypatch, step_takes_s, picture_takes_s, wanted=("fixed_camera",), seconds=20.0):
    config = load_cell_config("ur5")
    machine = Machine(config, step_takes_s, picture_takes_s, seconds)
    monkeypatch.setattr(bridge_module, "time", machine)
    bridge = Bridge(config, BridgeSettings(), lambda _: None, lambda *_: None, lambda name: name in wanted)
    bridge.world, bridge._stop = machine, machine
    bridge._loop()
    return machine


def longest_gap(times):
    return max(after - before for before, after in itertools.pairwise(times))


@pytest.mark.parametrize("share", [0.2, 0.95, 1.5])
@pytest.mark.parametrize("picture_takes_s", [0.05, 0.2])
def test_no_camera_falls_silent_however_slow_the_machine_is(monkeypatch, share, picture_takes_s):
    machine = run(monkeypatch, share * STEP_S, picture_takes_s)
    assert longest_gap(machine.pictures["fixed_camera"]) <= STARVED_S + picture_takes_s + 0.05
    # Nor does the world stand still for them.
    assert machine.time_s > 0.25 * machine.now


def test_two_cameras_take_turns(monkeypatch):
    machine = run(monkeypatch, 0.9 * STEP_S, 0.1, ("fixed_camera", "wrist_camera"))
    for times in machine.pictures.values():
        assert longest_gap(times) <= STARVED_S + 2 * 0.1 + 0.05


def test_a_machine_with_time_to_spare_keeps_real_time_and_the_cameras_rate(monkeypatch):
    machine = run(monkeypatch, 0.1 * STEP_S, 0.01)
    assert machine.time_s == pytest.approx(machine.now, rel=0.01)
    assert len(machine.pictures["fixed_camera"]) == pytest.approx(30.0 * machine.now, rel=0.05)


def test_cameras_that_nobody_looks_at_cost_nothing(monkeypatch):
    machine = run(monkeypatch, 0.9 * STEP_S, 0.2, wanted=())
    assert all(len(times) == 1 for times in machine.pictures.values())
    assert machine.time_s == pytest.approx(machine.now, rel=0.01)


def test_a_scene_that_is_asked_for_at_the_end_is_turned_away_and_not_waited_for(monkeypatch):
    bridge = Bridge(load_cell_config("ur5"), BridgeSettings(), lambda _: None, lambda *_: None, lambda _: False)
    monkeypatch.setattr(bridge._thread, "is_alive", lambda: True)
    bridge._stop.set()
    with pytest.raises(RuntimeError, match="does not run"):
        bridge.reset("single", 0, None)


def test_a_scene_in_the_making_is_given_up_at_the_end(monkeypatch):
    bridge = Bridge(load_cell_config("ur5"), BridgeSettings(), lambda _: None, lambda *_: None, lambda _: False)
    bridge.start("single", 0, None)
    began = threading.Event()

    def settles_for_ever(world, *_, **__):
        began.set()
        while True:
            world.step()

    monkeypatch.setattr("grasp_sim.bridge.build_scene", settles_for_ever)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(bridge.reset, "single", 0, None)
        assert began.wait(20.0)
        bridge.close()
        with pytest.raises(RuntimeError, match="before the scene is made"):
            answer.result()


def test_who_is_interrupted_while_the_world_is_made_waits_for_its_thread(monkeypatch):
    bridge = Bridge(load_cell_config("ur5"), BridgeSettings(), lambda _: None, lambda *_: None, lambda _: False)

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(bridge._ready, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bridge.start("single", 0, None)
    assert bridge._thread.ident is not None
    assert not bridge._thread.is_alive()
