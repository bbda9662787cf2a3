# SPDX-License-Identifier: Apache-2.0
"""The loopback controllers against the unmodified clients; each client runs in this process, the controllers do not."""

from __future__ import annotations

import socket
import threading
import time

import numpy as np
import pytest
from dashboard_client import DashboardClient
from pymodbus.client import ModbusTcpClient
from rtde_control import Path, PathEntry, RTDEControlInterface
from rtde_io import RTDEIOInterface
from rtde_receive import RTDEReceiveInterface

from grasp_control.rg2_registers import FIRST_READ, READ_COUNT, STATUS, TOOL_UNIT, WIDTH_NOW

# A client that waits for ever is ended early: the next test gets new ones.
pytestmark = pytest.mark.timeout(30)


def until(condition, limit_s=5.0):
    """Other processes have no event to wait for: look again and again."""
    gate, end = threading.Event(), time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        gate.wait(0.005)
    return bool(condition())


class Clients:
    """The two clients of one controller: ur_rtde's do not come back by themselves after a machine held its breath."""

    def __init__(self, running):
        self.running = running
        self.connect()

    def connect(self):
        self.receive = RTDEReceiveInterface(self.running.host)
        self.control = RTDEControlInterface(self.running.host)

    def close(self):
        self.control.disconnect()
        self.receive.disconnect()

    def works(self):
        control = self.control
        if not (control.isConnected() and self.receive.isConnected()):
            return False
        return control.isProgramRunning() or (control.reuploadScript() and until(control.isProgramRunning, 2.0))


@pytest.fixture(scope="module", params=["session_cb3", "e_series"])
def clients(request):
    clients = Clients(request.getfixturevalue(request.param))
    yield clients
    clients.close()


@pytest.fixture
def robot(clients):
    if not clients.works():
        clients.close()
        clients.connect()
    return clients.running, clients.receive, clients.control


def test_moves_end_where_they_were_told_to(robot):
    _, receive, control = robot
    start = receive.getActualQ()
    goal = [start[0] + 0.15, *start[1:]]
    assert control.moveJ(goal, 2.0, 8.0)
    assert np.allclose(receive.getActualQ(), goal, atol=1e-3)
    pose = receive.getActualTCPPose()
    pose[2] -= 0.03
    assert control.moveL(pose, 0.3, 1.0)
    assert np.allclose(receive.getActualTCPPose()[:3], pose[:3], atol=1e-3)
    path = Path()
    for way in (goal, start):
        path.addEntry(PathEntry(PathEntry.MoveJ, PathEntry.PositionJoints, [*way, 2.0, 8.0, 0.0]))
    assert control.movePath(path, False)
    assert np.allclose(receive.getActualQ(), start, atol=1e-3)


def test_servo_and_speed_commands_move_and_stop(robot):
    _, receive, control = robot
    start = np.array(receive.getActualQ())
    target = start + np.eye(6)[0] * 0.05
    assert control.servoJ(target.tolist(), 0.0, 0.0, 0.008, 0.05, 300)
    assert until(lambda: np.allclose(receive.getActualQ(), target, atol=1e-3))
    assert control.servoStop(10.0)
    assert control.speedJ([-0.5, 0, 0, 0, 0, 0], 5.0, 0.0)
    assert until(lambda: receive.getActualQd()[0] < -0.49)
    assert control.speedStop(10.0)
    assert until(lambda: abs(receive.getActualQd()[0]) < 1e-3)
    assert control.moveJ(start.tolist(), 2.0, 8.0)


def test_an_asynchronous_move_is_stopped(robot):
    _, receive, control = robot
    start = receive.getActualQ()
    assert control.moveJ([start[0] + 1.0, *start[1:]], 1.0, 4.0, True)
    assert until(lambda: receive.getActualQ()[0] > start[0] + 0.05)
    assert control.getAsyncOperationProgress() >= 0
    control.stopJ(10.0)
    assert receive.getActualQ()[0] < start[0] + 0.6
    assert until(lambda: control.getAsyncOperationProgress() < 0)
    assert control.moveJ(start, 2.0, 8.0)


def test_kinematics_agree_both_ways(robot):
    _, receive, control = robot
    pose = control.getForwardKinematics()
    assert np.allclose(pose, receive.getActualTCPPose(), atol=1e-6)
    assert np.allclose(control.getInverseKinematics(pose), receive.getActualQ(), atol=1e-4)


def test_the_speed_slider_slows_a_move(robot):
    running, receive, control = robot
    io = RTDEIOInterface(running.host)
    start = receive.getActualQ()
    assert io.setSpeedSlider(0.25)
    assert until(lambda: receive.getTargetSpeedFraction() == 0.25)
    assert control.moveJ([start[0] + 0.3, *start[1:]], 1.0, 4.0, True)
    speeds = []
    assert until(lambda: speeds.append(receive.getActualQd()[0]) or receive.getActualQ()[0] > start[0] + 0.25)
    assert max(speeds) <= 0.26
    assert io.setSpeedSlider(1.0)
    assert until(lambda: receive.getTargetSpeedFraction() == 1.0)
    control.stopJ(10.0)
    assert control.moveJ(start, 2.0, 8.0)


def test_a_protective_stop_stops_and_is_unlocked(robot):
    running, receive, control = robot
    dashboard = DashboardClient(running.host)
    dashboard.connect()
    start = receive.getActualQ()
    control.moveJ([start[0] + 1.0, *start[1:]], 1.0, 4.0, True)
    assert until(lambda: receive.getActualQd()[0] > 0.5)
    running.fault("protective_stop")
    assert until(receive.isProtectiveStopped)
    assert until(lambda: abs(receive.getActualQd()[0]) < 1e-3, 0.5)
    assert dashboard.safetystatus().endswith("PROTECTIVE_STOP")
    assert until(lambda: _unlocks(dashboard))
    assert until(lambda: not receive.isProtectiveStopped())
    assert control.reuploadScript()
    assert until(control.isProgramRunning)
    assert control.moveJ(start, 2.0, 8.0)


def _unlocks(dashboard):
    try:
        dashboard.unlockProtectiveStop()
    except RuntimeError:
        return False  # too young still
    return True


def test_an_emergency_stop_takes_the_power(robot):
    running, receive, control = robot
    running.fault("emergency_stop")
    assert until(receive.isEmergencyStopped)
    assert until(lambda: receive.getRobotMode() == 3)
    dashboard = DashboardClient(running.host)
    dashboard.connect()
    dashboard.powerOn()
    assert dashboard.robotmode() == "Robotmode: POWER_OFF"
    running.fault("release_emergency_stop")
    dashboard.powerOn()
    dashboard.brakeRelease()
    assert until(lambda: receive.getRobotMode() == 7)
    assert control.reuploadScript()


def test_two_controlling_clients_are_refused(robot):
    running, _, control = robot
    assert control.isConnected()
    with pytest.raises(RuntimeError, match="in use"):
        RTDEControlInterface(running.host)


def test_a_refused_script_is_told(robot):
    running, receive, control = robot
    running.fault("refuse_scripts", on=True)
    assert not control.reuploadScript() or not control.isProgramRunning()
    assert receive.getRuntimeState() == 1
    running.fault("refuse_scripts", on=False)
    assert control.reuploadScript()


def test_a_cut_closes_connections_and_lets_them_come_back(cb3):
    receive = RTDEReceiveInterface(cb3.host)
    cb3.fault("cut", seconds=0.2)
    assert until(lambda: not receive.isConnected())
    assert until(lambda: _connects(cb3.host))
    again = RTDEReceiveInterface(cb3.host)
    assert again.getActualQ()


def _connects(host):
    try:
        socket.create_connection((host, 30004), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def registers(cb3):
    client = ModbusTcpClient(cb3.host, port=cb3.settings.modbus_port, timeout=1, retries=0)
    assert client.connect()

    def read():
        block = client.read_holding_registers(FIRST_READ, count=READ_COUNT, device_id=TOOL_UNIT).registers
        return block[WIDTH_NOW - FIRST_READ], block[STATUS - FIRST_READ]

    def grip(width, force=200):
        assert not client.write_registers(0, [force, width, 1], device_id=TOOL_UNIT).isError()

    yield client, read, grip
    client.close()


def test_the_gripper_moves_and_reports_a_grip(cb3, registers):
    _, read, grip = registers
    assert until(lambda: not read()[1] & 1)
    grip(1100)
    assert until(lambda: read() == (1100, 0))
    cb3.fault("object", width_m=0.04)
    grip(0)
    assert until(lambda: read()[1] & 1)
    assert until(lambda: read() == (400, 2))
    grip(1100)
    assert until(lambda: read() == (1100, 0))


def test_the_gripper_ignores_commands_while_busy_and_stops(cb3, registers):
    client, read, grip = registers
    grip(1100)
    assert until(lambda: read() == (1100, 0))
    grip(0)
    assert until(lambda: read()[0] < 1000)
    grip(1100)
    width = read()[0]
    assert until(lambda: read()[0] < width)
    client.write_register(2, 8, device_id=TOOL_UNIT)
    assert until(lambda: not read()[1] & 1)
    assert 0 < read()[0] < 1000


def test_registers_out_of_range_are_refused(cb3, registers):
    client, read, _ = registers
    assert client.write_registers(0, [401, 0, 1], device_id=TOOL_UNIT).isError()
    assert client.write_registers(0, [100, 1101, 1], device_id=TOOL_UNIT).isError()
    assert read()[1] & 1 == 0


def test_unknown_faults_are_refused_by_name(cb3):
    with pytest.raises(ValueError, match="no_such_fault"):
        cb3.fault("no_such_fault")
    with pytest.raises(ValueError, match="cut"):
        cb3.fault("cut")


def test_the_digital_gripper_follows_an_output(e_series):
    io = RTDEIOInterface(e_series.host)
    receive = RTDEReceiveInterface(e_series.host)
    e_series.fault("object", width_m=0.03)
    assert io.setToolDigitalOut(0, True)
    assert until(lambda: receive.getActualDigitalInputBits() >> 16 & 1)
    assert abs(e_series.fault("state")["width_m"] - 0.03) < 1e-3
    assert io.setToolDigitalOut(0, False)
    assert until(lambda: e_series.fault("state")["width_m"] > 0.109)
    assert not receive.getActualDigitalInputBits() >> 16 & 1
    e_series.fault("object", width_m=None)
