# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket

import numpy as np
import pytest

from grasp_control.loopback.plant import KinematicPlant, RemotePlant
from grasp_core.plant import PlantCommand, PlantState, command_of, state_of, to_datagram

ZERO = (0.0,) * 6


def command(time_s, q=ZERO, width_m=0.11, grip=0, stop=False):
    return PlantCommand(time_s, q, ZERO, width_m, 20.0, grip, stop)


def test_commands_and_states_survive_the_wire():
    sent = command(1.25, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 0.04, 3, True)
    assert command_of(to_datagram(sent)) == sent
    state = PlantState(1.0, ZERO, ZERO, 0.03, True, False, 3)
    assert state_of(to_datagram(state)) == state


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"q": 1}', b"\xff\xff", b'{"q": [], "qd": [], "what": 1}'])
def test_other_datagrams_are_refused(data):
    with pytest.raises(ValueError):
        command_of(data)


def test_fingers_stop_at_an_object():
    plant = KinematicPlant(np.zeros(6))
    plant.object_width_m = 0.05
    states = [plant.step(command(0.01 * k, width_m=0.0, grip=1), 0.01) for k in range(200)]
    assert states[0].moving
    assert (states[-1].width_m, states[-1].moving, states[-1].gripped) == (0.05, False, True)
    opened = [plant.step(command(2.0 + 0.01 * k, width_m=0.11, grip=2), 0.01) for k in range(200)][-1]
    assert (opened.width_m, opened.gripped) == (0.11, False)


def test_a_late_plant_is_compared_with_what_was_wanted_then():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.settimeout(5.0)
        plant = RemotePlant(far.getsockname(), np.zeros(6))
        for k in range(10):
            told = plant.step(command(float(k), (0.1 * k, 0, 0, 0, 0, 0)), 0.01)
        assert not plant.answered
        assert told.q[0] == pytest.approx(0.9)
        _, sender = far.recvfrom(8192)
        # At time 4 the joint was wanted at 0.4 and stood at 0.35: it is 0.05 behind, now too.
        far.sendto(to_datagram(PlantState(4.0, (0.35, 0, 0, 0, 0, 0), ZERO, 0.02, False, True, 1)), sender)
        late = plant.step(command(10.0, (1.0, 0, 0, 0, 0, 0)), 0.01)
        assert plant.answered
        assert late.q[0] == pytest.approx(0.95)
        assert (late.width_m, late.gripped) == (0.02, True)
        plant.close()


def test_a_plant_that_falls_behind_slows_its_controller_down_and_lets_it_go_on():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.settimeout(5.0)
        plant = RemotePlant(far.getsockname(), np.zeros(6))
        plant.step(command(1.0), 0.01)
        assert plant.pace() == 1.0, "a plant that never answered is not waited for"
        _, sender = far.recvfrom(8192)
        paces = []
        for behind_s in (0.05, 0.15, 0.5, 0.0):
            far.sendto(to_datagram(PlantState(2.0 - behind_s, ZERO, ZERO, 0.11, False, False, 0)), sender)
            plant.step(command(2.0), 0.01)
            paces.append(plant.pace())
        plant.close()
    assert paces == [1.0, pytest.approx(0.5), pytest.approx(0.1), 1.0]
