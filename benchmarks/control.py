# SPDX-License-Identifier: Apache-2.0
"""The UR driver in numbers: latency of commands, tracking error, cycle times, processor share of the node.

``python benchmarks/control.py --json FILE`` writes rows of ``name, backend, value, unit, budget`` and prints them.
Everything runs against loopback controllers in a process of their own; the processor share needs ROS (a shell with
env.sh).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from domain_coordinator import domain_id

from grasp_control.loopback.process import LoopbackProcess, loopback
from grasp_control.messages import Reading
from grasp_control.ur_arm import UrArm
from grasp_core import resources
from grasp_core.cell_config import CellConfig
from grasp_core.ports import JointTrajectory
from grasp_description.cell_kinematics import CellKinematics

WAIT_S = 30.0
# A streamed step has accelerated past this when it counts as under way (rad/s): see ``loopback.faults``.
STEP_RAD = 0.05


@dataclass(frozen=True)
class Row:
    """One number; ``budget`` none where there is none."""

    name: str
    backend: str
    value: float
    unit: str
    budget: float | None = None


@dataclass
class Arguments:
    """Measure the UR driver."""

    json: Path | None = None
    """File for the rows."""
    cell: str = "ur5"
    """Name of the cell."""
    controllers: tuple[str, ...] = ("cb3", "e_series")
    """Kinds of controller: 125 Hz and 500 Hz."""
    commands: int = 30
    """Commands whose latency is taken."""
    seconds: float = 8.0
    """Time over which the processor share is taken."""


def ready(arm: UrArm) -> Reading:
    """The first reading of a robot that takes commands."""
    reading, end = arm.reading, time.monotonic() + WAIT_S
    while reading is None or reading.problem:
        if time.monotonic() > end:
            raise RuntimeError(f"the arm does not get ready: {reading}")
        reading = arm.wait_for_reading(reading, 1.0) or arm.reading
    return reading


def latency(arm: UrArm, robot: LoopbackProcess, count: int) -> list[float]:
    """Milliseconds from a command's call to the moment at which the controller's joints move."""
    found = []
    gate = threading.Event()
    for k in range(count):
        while robot.fault("state")["speed"] > 1e-3:
            gate.wait(0.02)
        # Not in step with any cycle.
        gate.wait(0.001 * (7 * k % 23))
        start = arm.state().positions
        begin = time.monotonic()
        arm.stream(start + np.eye(len(start))[0] * STEP_RAD * (1 if k % 2 else -1), 0.1, 0.3)
        while (at := robot.fault("state")["moved_since_s"]) < begin:
            gate.wait(0.002)
        found.append(1e3 * (at - begin))
        while arm.reading is None or arm.reading.moving:
            arm.wait_for_reading(arm.reading, 1.0)
    return found


def halting(arm: UrArm, robot: LoopbackProcess, ready_q: np.ndarray) -> float:
    """Milliseconds from ``halt`` at full speed to standing still."""
    goal = ready_q + np.eye(6)[0] * 1.5
    thread = threading.Thread(target=lambda: follow(arm, goal, 1.5))
    thread.start()
    while robot.fault("state")["speed"] < 1.2:
        threading.Event().wait(0.01)
    begin = time.monotonic()
    arm.halt()
    thread.join()
    while robot.fault("state")["speed"] > 0.02:
        threading.Event().wait(0.005)
    arm.release()
    return 1e3 * (robot.fault("state")["still_since_s"] - begin)


def follow(arm: UrArm, goal: np.ndarray, duration_s: float) -> None:
    """To joint positions, at rest at both ends."""
    start = arm.state().positions
    points = np.stack([start, goal])
    way = JointTrajectory(arm.joint_names, np.array([0.0, duration_s]), points, np.zeros_like(points))
    result = arm.execute(way)
    if not result.ok and result.message != "halted":
        raise RuntimeError(f"a motion failed: {result.message}")


def tracking(arm: UrArm, ready_q: np.ndarray, share: float) -> tuple[float, float, float]:
    """Degrees: largest distance to where the arm should be now; to the path; and the greatest speed reached (rad/s)."""
    arm.set_speed_scale(share)
    readings: list[Reading] = []
    over = threading.Event()

    def collect() -> None:
        reading = arm.reading
        while not over.is_set():
            reading = arm.wait_for_reading(reading, 0.5)
            if reading is not None and reading.moving:
                readings.append(reading)

    thread = threading.Thread(target=collect)
    thread.start()
    for goal in (ready_q + np.array([0.8, 0.3, -0.4, 0.5, 0.3, 0.6]), ready_q):
        follow(arm, goal, 0.4)
    over.set()
    thread.join()
    wanted = np.array([reading.setpoint for reading in readings])
    there = np.array([reading.positions for reading in readings])
    speed = np.array([reading.velocities for reading in readings])
    now = float(np.abs(wanted - there).max())
    nearest = max(float(np.abs(wanted[max(0, k - 40) : k + 1] - q).max(axis=1).min()) for k, q in enumerate(there))
    return float(np.rad2deg(now)), float(np.rad2deg(nearest)), float(np.abs(speed).max())


def cpu_seconds(pid: int) -> float:
    """Processor time so far of a process and its children."""
    parts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    own = (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return own + sum(cpu_seconds(int(child)) for child in children)


def processor(args: Arguments, robot: LoopbackProcess) -> float:
    """Share of one core that the arm's node and its servo process take while the arm's state is published."""
    with domain_id() as domain:
        process = subprocess.Popen(
            [sys.executable, "-m", "grasp_control.arm_node", "--ros-args", "-p", f"robot_ip:={robot.host}"],
            env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "is ready" in line:
                    break
            before, begin = cpu_seconds(process.pid), time.monotonic()
            threading.Event().wait(args.seconds)
            return (cpu_seconds(process.pid) - before) / (time.monotonic() - begin)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(15)


def measure(args: Arguments, controller: str) -> list[Row]:
    """Rows for one kind of controller."""
    config = CellConfig.from_yaml(resources.find("config", f"cells/{args.cell}.yaml"))
    name, settings = config.arm()
    limits = CellKinematics(config).limits()
    with loopback(controller=controller) as robot, ExitStack() as stack:
        # A machine with other things to do is slower than a robot's computer: late is not frozen here.
        chosen = {"robot_ip": robot.host, "speed_scale": 1.0, "stale_s": 0.4, "reconnect_s": 1.0}
        arm = stack.enter_context(closing(UrArm(name, {j: limits[j] for j in settings.joints}, chosen)))
        ready_q = np.array(ready(arm).positions)
        delays = latency(arm, robot, args.commands)
        follow(arm, ready_q, 1.0)
        full = tracking(arm, ready_q, 1.0)
        quarter = tracking(arm, ready_q, 0.25)
        arm.set_speed_scale(1.0)
        stop_ms = halting(arm, robot, ready_q)
        counts = dict(arm.reading.counts) if arm.reading is not None else {}
        stack.close()
        return [
            Row("command to motion, median", controller, float(np.median(delays)), "ms"),
            Row("command to motion, 95 %", controller, float(np.percentile(delays, 95)), "ms"),
            Row("halt to standstill at full speed", controller, stop_ms, "ms", 200.0),
            Row("tracking error now, full speed", controller, full[0], "deg"),
            Row("tracking error off the path, full speed", controller, full[1], "deg"),
            Row("greatest joint speed, full speed", controller, full[2], "rad/s"),
            Row("tracking error now, quarter speed", controller, quarter[0], "deg"),
            Row("tracking error off the path, quarter speed", controller, quarter[1], "deg"),
            Row("greatest joint speed, quarter speed", controller, quarter[2], "rad/s"),
            Row("late cycles", controller, 100.0 * counts["late cycles"] / max(counts["cycles"], 1), "%"),
            Row("processor share of the arm's node", controller, 100.0 * processor(args, robot), "% of a core"),
        ]


def main(args: Arguments) -> None:
    """Measure, print, write."""
    rows = [row for controller in args.controllers for row in measure(args, controller)]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for row in rows:
        budget = "" if row.budget is None else f"  (budget {row.budget:g})"
        print(f"{row.name:44s} {row.backend:9s} {row.value:9.2f} {row.unit}{budget}")
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
