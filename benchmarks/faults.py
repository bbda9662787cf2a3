# SPDX-License-Identifier: Apache-2.0
"""The fault table: each fault in each phase of a pick, through the real drivers, against loopback controllers.

``python benchmarks/faults.py --json FILE --markdown FILE`` writes what happened: after how long a fault was noticed,
after how much longer the arm stood, in which words it was reported, how the pick ended and how work went on.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from tqdm import tqdm

from grasp_control.arm_guard import GuardedDriver
from grasp_control.loopback.faults import STILL_RAD_S
from grasp_control.loopback.process import LoopbackProcess, loopback
from grasp_control.rg2_modbus import Rg2Modbus
from grasp_control.ur_arm import UrArm
from grasp_core import resources
from grasp_core.cell_config import CellConfig
from grasp_core.geometry import top_down
from grasp_core.ports import JointTrajectory, StateError
from grasp_description.cell_kinematics import CellKinematics
from grasp_description.grippers import load_gripper

# From noticing to standing still (s): the bar.
STOP_S = 0.2
MOTION_S = 1.0
OBJECT_M = 0.04
WAIT_S = 30.0
TRIES = 4
# Two positions this near are the same (rad).
SAME_RAD = 0.01


@dataclass(frozen=True)
class Fault:
    """How to cause a fault and how to end it; ``lasts_s`` none: until it is ended."""

    name: str
    begin: Callable[[Bench], None]
    end: Callable[[Bench], None] = lambda bench: None
    lasts_s: float | None = None
    phases: tuple[str, ...] = ()


@dataclass
class Row:
    """What happened."""

    fault: str
    phase: str
    noticed_s: float | None = None
    stopped_s: float | None = None
    reported: str = ""
    pick: str = ""
    recovery: str = ""
    moved_blindly: bool = False
    hung: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing hung, nothing moved blindly, and the arm stood in time."""
        late = self.stopped_s is not None and self.stopped_s > STOP_S
        return not (self.hung or self.moved_blindly or late)


class Bench:
    """Loopback controllers, drivers, and a pick of one object."""

    def __init__(self, robot: LoopbackProcess, cell: str) -> None:
        self.robot = robot
        config = CellConfig.from_yaml(resources.find("config", f"cells/{cell}.yaml"))
        kinematics = CellKinematics(config)
        name, settings = config.arm()
        limits = kinematics.limits()
        joints = {joint: limits[joint] for joint in settings.joints}
        self.arm = UrArm(name, joints, {"robot_ip": robot.host, "speed_scale": 0.6})
        self.driver = GuardedDriver(self.arm, config, kinematics)
        gripper = config.grippers[settings.gripper]
        wire = {"host": robot.host, "port": robot.settings.modbus_port, "motion_s": 2.5}
        self.gripper = Rg2Modbus("gripper", load_gripper(gripper.kind), "", gripper.force_n, wire)
        ready = kinematics.ready()
        self.poses = {"ready": np.array([ready[joint] for joint in settings.joints])}
        seed = ready
        for place, at in {"above": (0.5, 0.0, 0.3), "object": (0.5, 0.0, 0.12), "drop": (0.4, 0.3, 0.3)}.items():
            found = kinematics.ik(top_down(at), seed)
            assert found is not None, f"{place} cannot be reached"
            seed = {**ready, **found}
            self.poses[place] = np.array([found[joint] for joint in settings.joints])
        self.phase, self.entered = "", threading.Condition()
        self.outcome = ""

    # --- the pick ---

    def move(self, place: str) -> str:
        """To a named place; returns what went wrong."""
        return self.move_to(self.poses[place])

    def move_to(self, goal: np.ndarray) -> str:
        """To joint positions; returns what went wrong."""
        try:
            start = self.arm.state().positions
        except StateError as error:
            return str(error)
        duration = max(MOTION_S, float(np.abs(goal - start).max()) / 1.0)
        way = JointTrajectory(
            self.arm.joint_names, np.array([0.0, duration]), np.stack([start, goal]), np.zeros((2, len(goal)))
        )
        result = self.driver.follow(way, None, None, None, None)
        return "" if result.ok else f"{result.status}: {result.message}"

    def grip(self, width_m: float) -> str:
        """Open or close; returns what went wrong."""
        try:
            self.gripper.move(width_m)
        except StateError as error:
            return f"gripper failed: {error}"
        return ""

    def close_on_object(self) -> str:
        """Close; returns what went wrong, or that nothing is held."""
        wrong = self.grip(0.0)
        if wrong:
            return wrong
        state = self.gripper.state()
        width_mm = 1e3 * state.width_m
        return "" if state.holding else f"missed: nothing between the fingers, the opening is {width_mm:.0f} mm"

    def phases(self) -> dict[str, Callable[[], str]]:
        """The pick, phase by phase."""
        return {
            "way to pre-grasp": lambda: self.move("above"),
            "approach": lambda: self.move("object"),
            "closing": self.close_on_object,
            "lift": lambda: self.move("above"),
            "transfer": lambda: self.move("drop"),
            "opening": lambda: self.grip(0.11),
        }

    def pick(self) -> None:
        """All phases until one fails."""
        self.outcome = ""
        for name, run in self.phases().items():
            with self.entered:
                self.phase = name
                self.entered.notify_all()
            if wrong := run():
                self.outcome = f"ended in '{name}': {wrong}"
                break
        else:
            self.outcome = "completed"
        with self.entered:
            self.phase = "over"
            self.entered.notify_all()

    # --- around it ---

    def ready(self, limit_s: float = WAIT_S) -> bool:
        """Wait until both drivers take commands."""
        end = time.monotonic() + limit_s
        reading = self.arm.reading
        while time.monotonic() < end:
            if reading is not None and not reading.problem and not self.gripper.problem:
                return True
            reading = self.arm.wait_for_reading(reading, 0.05) or self.arm.reading
        return False

    def close(self) -> None:
        """Let go."""
        self.arm.close()
        self.gripper.close()


def fault(name: str, **options: Any) -> Callable[[Bench], None]:
    """A fault of the loopback controllers."""

    def begin(bench: Bench) -> None:
        bench.robot.fault(name, **options)

    return begin


def bad_command(bench: Bench, goal: np.ndarray) -> None:
    """Somebody else commands this while the pick runs; what the guard says is noted."""
    bench.injected = bench.move_to(goal)  # type: ignore[attr-defined]


def refuse_after_cut(bench: Bench) -> None:
    """The controller comes back from a cut, and takes no program."""
    bench.robot.fault("refuse_scripts", on=True)
    bench.robot.fault("cut", seconds=0.2)


FAULTS = [
    *(Fault(f"connection cut for {s:g} s", fault("cut", seconds=s), lasts_s=s) for s in (0.1, 1.0, 10.0)),
    Fault("network dead for 1 s", fault("cut", seconds=1.0, silent=True), lasts_s=1.0),
    Fault("protective stop", fault("protective_stop")),
    Fault("emergency stop", fault("emergency_stop"), fault("release_emergency_stop")),
    Fault("program stopped on the pendant", fault("stop_program")),
    Fault("speed slider to 0 and back", fault("slider", fraction=0.0), fault("slider", fraction=1.0), lasts_s=1.0),
    Fault("states 0.2 s late", fault("late", seconds=0.2), fault("late", seconds=0.0), lasts_s=2.0),
    Fault("joint state frozen", fault("frozen", on=True), fault("frozen", on=False), lasts_s=1.0),
    Fault("cut, then program refused", refuse_after_cut, fault("refuse_scripts", on=False), lasts_s=2.0),
    Fault("gripper registers 0.2 s late", fault("gripper_late", seconds=0.2), fault("gripper_late", seconds=0.0)),
    Fault("gripper silent", fault("gripper_silent", on=True), fault("gripper_silent", on=False)),
    Fault("gripper stalled", fault("gripper_stuck", on=True), fault("gripper_stuck", on=False)),
    Fault("gripper at full stroke", fault("object", width_m=None), fault("object", width_m=OBJECT_M)),
    Fault("servo process killed", lambda bench: bench.arm._process.kill()),
    Fault("NaN command", lambda bench: bad_command(bench, np.full(6, np.nan))),
    Fault(
        "target outside the workspace",
        lambda bench: bad_command(bench, bench.poses["ready"] + np.array([0, 1.4, 0, 0, 0, 0])),
    ),
]


class NotReached(RuntimeError):
    """A pick ended before the phase in which the fault was to come."""


def notice(bench: Bench, kind: Fault, began: float, limit_s: float = 4.0) -> tuple[float | None, str]:
    """When a driver first tells of the fault, and in which words."""
    reading = bench.arm.reading
    while time.monotonic() - began < limit_s:
        if injected := getattr(bench, "injected", ""):
            return time.monotonic(), injected
        if reading is None:
            return time.monotonic(), "the servo process ended"
        if reading.problem:
            return time.monotonic(), reading.problem
        if "slider" in kind.name and reading.slider == 0.0:
            return time.monotonic(), "speed slider 0 (diagnostics)"
        if problem := bench.gripper.problem:
            return time.monotonic(), problem
        if bench.phase == "over":
            return time.monotonic(), bench.outcome
        reading = bench.arm.wait_for_reading(reading, 0.02) or bench.arm.reading
    return None, ""


def try_out(bench: Bench, kind: Fault, phase: str) -> Row:
    """One row."""
    row = Row(kind.name, phase)
    bench.robot.fault("object", width_m=OBJECT_M)
    bench.injected = ""  # type: ignore[attr-defined]
    thread = threading.Thread(target=bench.pick)
    thread.start()
    with bench.entered:
        assert bench.entered.wait_for(lambda: bench.phase in (phase, "over"), WAIT_S)
    if bench.phase == "over":
        # The machine was too busy for the phases before: that says nothing about the fault.
        thread.join()
        raise NotReached(f"{phase} was not reached: {bench.outcome}")
    threading.Event().wait(0.35)
    was_moving = bench.robot.fault("state")["speed"] > STILL_RAD_S
    began = time.monotonic()
    kind.begin(bench)
    at, row.reported = notice(bench, kind, began)
    row.noticed_s = None if at is None else max(0.0, at - began)
    if kind.lasts_s is not None:
        threading.Event().wait(max(0.0, began + kind.lasts_s - time.monotonic()))
        held = bench.robot.fault("state")
        if was_moving and at is not None and held["speed"] < STILL_RAD_S:
            row.stopped_s = max(0.0, held["still_since_s"] - at)
        kind.end(bench)
    thread.join(WAIT_S)
    row.hung = thread.is_alive()
    row.pick = bench.outcome or "did not end"
    state = standing(bench)
    ends_motion = row.pick != "completed" and "gripper" not in row.pick and "missed" not in row.pick
    if was_moving and at is not None and ends_motion and row.stopped_s is None:
        row.stopped_s = max(0.0, state["still_since_s"] - at)
    rest = np.array(state["q"])
    if kind.lasts_s is None:
        kind.end(bench)
    row.recovery = recover(bench, kind, began)
    now = np.array(bench.robot.fault("state")["q"])
    row.moved_blindly = bool(np.abs(now - rest).max() > SAME_RAD)
    tidy_up(bench, row)
    return row


def standing(bench: Bench, limit_s: float = 3.0) -> dict[str, Any]:
    """The state of the controller once its arm stands, or at the end of the limit."""
    end = time.monotonic() + limit_s
    state = bench.robot.fault("state")
    while state["speed"] > STILL_RAD_S and time.monotonic() < end:
        threading.Event().wait(0.01)
        state = bench.robot.fault("state")
    return state


def recover(bench: Bench, kind: Fault, began: float) -> str:
    """Wait whether it comes back by itself, or ask for it."""
    over = time.monotonic()
    if bench.ready(3.0 if kind.lasts_s is None else 6.0):
        took = time.monotonic() - over
        return "nothing to recover" if took < 0.05 else f"by itself, {took:.1f} s later"
    ok, text = bench.arm.recover()
    took = time.monotonic() - over
    return f"by recover ({took:.1f} s after the end)" if ok and bench.ready(3.0) else f"not: {text}"


def tidy_up(bench: Bench, row: Row) -> None:
    """Everything as before the next row; proves that commands are taken again."""
    bench.robot.fault("clear")
    wrong = ""
    for _ in range(TRIES):
        if not bench.ready(5.0):
            bench.robot.fault("release_emergency_stop")
            wrong = bench.arm.recover()[1]
            continue
        wrong = bench.grip(0.11) or bench.move("ready")
        if not wrong:
            return
    row.notes.append(f"afterwards: {wrong}")


def one_row(bench: Bench, kind: Fault, phase: str) -> Row:
    """A row, tried again where the machine was too busy to reach the phase."""
    for left in reversed(range(TRIES)):
        try:
            return try_out(bench, kind, phase)
        except NotReached:
            tidy_up(bench, Row("", ""))
            if not left:
                raise
    raise AssertionError("not reached")


@dataclass
class Arguments:
    """Run the fault table."""

    json: Path | None = None
    """File for the rows."""
    markdown: Path | None = None
    """File for the table."""
    cell: str = "ur5"
    """Name of the cell."""
    controller: str = "cb3"
    """cb3 or e_series."""
    only: str = ""
    """Only faults whose name contains this."""
    part: tuple[int, int] = (1, 1)
    """The first of so many parts of the faults, to run several at once."""


def markdown(rows: list[Row]) -> str:
    """The table for people."""

    def milliseconds(value: float | None) -> str:
        return "-" if value is None else f"{1e3 * value:.0f}"

    lines = [
        "| fault | phase | noticed after [ms] | stood after [ms] | reported as | the pick | back at work |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        said = row.reported.replace("|", "/")
        lines.append(
            f"| {row.fault} | {row.phase} | {milliseconds(row.noticed_s)} | {milliseconds(row.stopped_s)} "
            f"| {said} | {row.pick} | {row.recovery} |"
        )
    return "\n".join(lines) + "\n"


def main(args: Arguments) -> None:
    """Run, print, write."""
    rows: list[Row] = []
    with loopback(controller=args.controller, unlock_after_s=0.5) as robot:
        bench = Bench(robot, args.cell)
        assert bench.ready(90.0), "the loopback controllers are not ready"
        tidy_up(bench, Row("", ""))
        chosen = [kind for kind in FAULTS if args.only in kind.name][args.part[0] - 1 :: args.part[1]]
        for kind in tqdm(chosen, unit="fault"):
            for phase in bench.phases():
                rows.append(one_row(bench, kind, phase))
                if args.json is not None:
                    write(args.json, rows)
        bench.close()
    print(markdown(rows))
    bad = [row for row in rows if not row.good]
    slowest = max((row.stopped_s or 0.0 for row in rows), default=0.0)
    print(f"{len(rows)} rows, {len(bad)} bad; slowest stop {1e3 * slowest:.0f} ms after it was noticed")
    for row in bad:
        print(asdict(row))
    if args.markdown is not None:
        args.markdown.write_text(markdown(rows), encoding="utf-8")


def write(path: Path, rows: list[Row]) -> None:
    """The rows so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"cores": os.cpu_count(), "rows": [{**asdict(row), "good": row.good} for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
