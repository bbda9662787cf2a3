# SPDX-License-Identifier: Apache-2.0
"""The episode loop on a gantry of fakes: every way in which an episode may end, and every part that may fail."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from grasp_core.actions import Grasp, Push, Stop
from grasp_core.cell import Outcome, Reason
from grasp_core.cell_config import BoxRegion, Limits, Skills
from grasp_core.fakes import GANTRY_LIMITS, FakeArm, FakeGripper, FakeKinematics, FakePlanner
from grasp_core.geometry import top_down
from grasp_core.guard import Guard
from grasp_core.guarded_ports import GuardedArm, GuardedGripper
from grasp_core.observation import ArmObservation, Observation
from grasp_core.planning import PlanResult, PlanStatus
from grasp_core.policy import Decision, Goal
from grasp_core.ports import MotionStatus, StateError
from grasp_core.skills.execute import execute_action
from grasp_core.skills.ports import ArmPorts, CellPorts
from grasp_core.skills.transfer import drop, go_to_state
from grasp_episodes.judges import GripperJudge, Truth, TruthJudge
from grasp_episodes.runner import (
    Decided,
    DecisionError,
    EndedBy,
    EpisodeRunner,
    Listeners,
    RunnerConfig,
)
from grasp_episodes.timing import StageClock, timed_ports

WORKSPACE = BoxRegion(min_m=(-0.2, -0.2, 0.0), max_m=(0.2, 0.2, 0.3))
LIMITS = Limits(workspace=WORKSPACE, motion_box=BoxRegion(min_m=(-0.6, -0.6, -0.01), max_m=(0.6, 0.6, 0.8)))


class Table:
    """A gantry over a table with objects at known places; also the cell that the runner sees."""

    def __init__(self, *places):
        self.objects = {k: np.array([x, y, 0.02]) for k, (x, y) in enumerate(places)}
        self.held, self.seen_held = None, set()
        self.ns = 10_000_000_000
        self.arm = FakeArm(lambda: self.ns)
        self.gripper = FakeGripper(self._between)
        self.kinematics = FakeKinematics()
        self.planner = FakePlanner(self.kinematics)
        self.guard = Guard(LIMITS, GANTRY_LIMITS, self.kinematics, lambda: self.ns)
        states = {"ready": {"x": 0.0, "y": 0.0, "z": 0.5, "yaw": 0.0}, "drop": {"x": 0.4, "y": 0.4, "z": 0.5}}
        hand = ArmPorts(GuardedArm(self.arm, self.guard), GuardedGripper(self.gripper, self.guard), 20.0, states)
        self.event = threading.Event()
        self.clock = StageClock(lambda: self.ns)
        ports = CellPorts({"arm": hand}, self.planner, self.kinematics, Skills(), self.event)
        self.ports = timed_ports(ports, self.clock)
        self.halts = self.readies = 0
        self.silent = False

    def _between(self):
        near = [k for k, p in self.objects.items() if np.hypot(*(self.arm.position[:2] - p[:2])) < 0.01]
        if self.held is None and near and self.arm.position[2] < 0.1:
            self.held = near[0]
            self.seen_held.add(self.held)
        if self.held is not None and self.gripper.commands and self.gripper.commands[-1] > 0.05:
            self.objects[self.held][:2] = self.arm.position[:2]
            self.held = None
        return None if self.held is None else 0.04

    def look(self):
        seen, self.seen_held = frozenset(self.seen_held), set()
        return Truth({k: p.copy() for k, p in self.objects.items()}, seen)

    def observe(self):
        if self.silent:
            raise StateError("no joint state of arm")
        T = self.kinematics.fk(self.arm.state().as_dict())
        return Observation({}, self.arm.state().as_dict(), {"arm": ArmObservation(T, self.gripper.state())}, self.ns)

    def execute(self, action, observation=None):
        self.event.clear()
        result, found = execute_action(self.ports, self.guard, action, observation or self.observe())
        if result.reason is Reason.HELD:
            drop(self.ports)
            self._between()
        if result.commanded is not None and result.reason is not Reason.CANCELLED and not isinstance(action, Stop):
            go_to_state(self.ports, "ready")
        return Outcome(action, result.commanded, result.success, result.reason, self.observe(), result.message, found)

    def cancel(self):
        self.event.set()

    def halt(self):
        self.halts += 1

    def make_ready(self):
        self.readies += 1
        self.arm.fails_with = None

    def since_ns(self):
        return self.ns

    def now_ns(self):
        return self.ns


class Scripted:
    """Decides what it was told; a callable is called, an exception is raised."""

    def __init__(self, table, *script):
        self.table, self.script, self.asked, self.begun = table, list(script), 0, None

    def begin(self, goal, seed):
        self.begun = seed

    def decide(self, observation, not_before_ns, cancel):
        item = self.script[min(self.asked, len(self.script) - 1)]
        self.asked += 1
        item = item() if callable(item) else item
        if isinstance(item, Exception):
            raise item
        return Decided(Decision(item, 0.5, stages_ms={"forward": 2.0}), self.table.ns, self.table.ns)


def grasp_at(x, y):
    return Grasp(top_down((x, y, 0.02)))


def nearest(table):
    def choose():
        inside = [p for p in table.objects.values() if np.abs(p[:2]).max() < 0.2]
        return grasp_at(*inside[0][:2]) if inside else Stop("the table is empty")

    return choose


def run(table, *script, judge=None, listeners=None, **config):
    decider = Scripted(table, *script)
    judge = judge or TruthJudge(table.look, WORKSPACE)
    runner = EpisodeRunner(table, decider, judge, RunnerConfig(**config), table.clock, listeners)
    return runner.run(Goal(), 3)


def test_a_table_is_cleared_and_everything_is_counted():
    table = Table((0.1, 0.1), (-0.1, 0.05), (0.0, -0.15))
    steps = []
    record = run(table, nearest(table), listeners=Listeners(step=lambda s, _: steps.append(s)))
    assert (record.ended_by, record.objects_start, record.objects_left) == (EndedBy.CLEARED, 3, 0)
    assert (record.attempts, record.successes, record.actions) == (3, 3, 3)
    assert [s.step for s in steps] == [0, 1, 2]
    assert all(s.judgement.by == "simulator" and s.judgement.success for s in steps)
    assert {"forward", "decide", "plan", "motion", "gripper", "execute", "judge"} <= set(steps[0].stages_s)
    assert steps[0].started_ns is not None


def test_what_lies_outside_of_the_work_area_is_told_and_does_not_count():
    table = Table((0.1, 0.1), (0.5, 0.0))
    record = run(table, nearest(table))
    assert (record.ended_by, record.objects_start, record.successes) == (EndedBy.CLEARED, 1, 1)
    assert record.note == "1 object lay outside of the work area at the beginning and does not count"
    assert record.message == f"nothing is left in the work area; {record.note}"
    # Brought to the drop place, which is outside too, nothing was left out.
    table = Table((0.1, 0.1))
    assert run(table, nearest(table)).note == ""
    assert "2 objects lay" in run(Table((0.5, 0.0), (0.0, 0.4)), Stop("")).note
    assert run(table, Stop(""), judge=GripperJudge()).note == ""


def test_the_policys_stop_is_a_cleared_table_only_when_it_is_empty():
    assert run(Table(), Stop("empty")).ended_by is EndedBy.CLEARED
    table = Table((0.1, 0.1))
    record = run(table, Stop("I see nothing"))
    assert (record.ended_by, record.objects_left, record.message) == (EndedBy.STOPPED_BY_POLICY, 1, "I see nothing")
    assert run(Table((0.1, 0.1)), Stop(""), judge=GripperJudge()).ended_by is EndedBy.STOPPED_BY_POLICY


def test_ten_actions_that_change_nothing_are_stuck():
    table = Table((0.1, 0.1))
    record = run(table, grasp_at(-0.1, -0.1))
    assert (record.ended_by, record.actions, record.attempts, record.successes) == (EndedBy.STUCK, 10, 10, 0)
    assert record.reasons["missed"] == 10


def test_what_only_the_gripper_took_for_held_is_told_as_that():
    table = Table((0.1, 0.1))
    before = table.look()
    record = run(table, nearest(table), judge=TruthJudge(lambda: before, WORKSPACE), max_actions=1)
    assert (record.attempts, record.successes) == (1, 0)
    assert dict(record.reasons) == {"not_brought_away": 1}


def test_a_success_between_failures_starts_the_count_anew():
    table = Table((0.1, 0.1), (0.1, -0.1))
    script = [grasp_at(-0.1, -0.1)] * 9 + [grasp_at(0.1, 0.1)] + [grasp_at(-0.1, -0.1)] * 9 + [grasp_at(0.1, -0.1)]
    assert run(table, *script).ended_by is EndedBy.CLEARED


@pytest.mark.parametrize("limit", [{"max_actions": 4}, {"max_attempts": 4}])
def test_limits_end_an_episode(limit):
    record = run(Table((0.1, 0.1)), grasp_at(-0.1, -0.1), **limit)
    assert (record.ended_by, record.actions) == (EndedBy.MAX_ACTIONS, 4)


def test_pushes_whose_effect_nobody_can_tell_end_at_the_limit_and_not_as_stuck():
    push = Push(np.array([0.0, 0.0, 0.02]), np.array([1.0, 0.0, 0.0]), 0.1)
    record = run(Table((0.1, 0.1)), push, judge=GripperJudge(), max_actions=15)
    assert (record.ended_by, record.actions, record.attempts) == (EndedBy.MAX_ACTIONS, 15, 0)


def test_what_the_guard_refuses_is_counted_and_another_action_is_asked_for():
    table = Table((0.1, 0.1))
    record = run(table, grasp_at(0.5, 0.5), nearest(table))
    assert record.ended_by is EndedBy.CLEARED
    assert record.limits["workspace"] == 1
    assert record.reasons["refused_by_guard"] == 1
    assert (record.actions, record.attempts) == (2, 1)


def test_a_planner_that_refuses_costs_an_action_and_ends_as_stuck():
    table = Table((0.1, 0.1))
    refusal = PlanResult(PlanStatus.TIMED_OUT, message="nobody offers the action of plan_motion")
    table.planner.plan_to_pose = lambda *_: refusal
    record = run(table, nearest(table))
    assert record.ended_by is EndedBy.STUCK
    assert record.reasons["planning_failed"] == 10


@pytest.mark.parametrize(("status", "word"), [(MotionStatus.STOPPED, "stopped"), (MotionStatus.TIMED_OUT, "timed")])
def test_a_controller_that_aborts_halts_the_robot_and_is_tried_again(status, word):
    table = Table((0.1, 0.1))
    table.arm.fails_with = status
    record = run(table, nearest(table))
    assert record.ended_by is EndedBy.CLEARED
    assert (table.halts, table.readies) == (1, 1)
    assert record.reasons["motion_failed"] == 1


def test_a_controller_that_always_aborts_ends_the_episode_with_a_reason():
    table = Table((0.1, 0.1))
    table.arm.fails_with = MotionStatus.STOPPED
    table.make_ready = lambda: None
    record = run(table, nearest(table))
    assert record.ended_by is EndedBy.FAILED
    assert "motion_failed 4 times in a row" in record.message
    assert record.reasons["motion_failed"] == 4
    assert table.halts >= 4


def test_a_gripper_that_times_out_halts_the_robot():
    table = Table((0.1, 0.1))

    def never(*_):
        raise StateError("gripper did not end its motion within 10 s")

    table.gripper.move = never
    record = run(table, nearest(table))
    assert record.ended_by is EndedBy.FAILED
    assert "did not end its motion" in record.message
    assert table.halts >= 1


@pytest.mark.parametrize("reason", [Reason.STALE_STATE, Reason.POLICY_FAILED])
def test_a_decision_that_fails_is_asked_for_again_a_few_times(reason):
    table = Table((0.1, 0.1))
    failure = DecisionError(reason, "camera fixed_camera was silent for 0.5 s")
    record = run(table, failure, failure, failure, nearest(table))
    assert (record.ended_by, record.reasons[str(reason)]) == (EndedBy.CLEARED, 3)
    table = Table((0.1, 0.1))
    record = run(table, failure)
    assert record.ended_by is EndedBy.FAILED
    assert "silent for 0.5 s" in record.message
    assert not table.arm.executed, "the arm moved without a decision"


def test_silent_joints_end_the_episode_with_a_sentence():
    table = Table((0.1, 0.1))
    table.silent = True
    record = run(table, nearest(table))
    assert (record.ended_by, record.reasons["stale_state"]) == (EndedBy.FAILED, 4)
    assert "no joint state" in record.message


def test_a_recorder_that_fails_stops_the_robot_between_actions():
    table = Table((0.1, 0.1), (0.1, -0.1))
    problems = iter([None, "the disk is full"])
    record = run(table, nearest(table), listeners=Listeners(health=lambda: next(problems)))
    assert (record.ended_by, record.message, record.actions) == (EndedBy.FAILED, "the disk is full", 1)


def test_cancel_during_a_motion_ends_it_and_the_episode():
    table = Table((0.1, 0.1))
    decider = Scripted(table, nearest(table))
    runner = EpisodeRunner(table, decider, TruthJudge(table.look, WORKSPACE), RunnerConfig(), table.clock, Listeners())
    execute = table.arm.execute
    table.arm.execute = lambda trajectory, cancel: (runner.cancel(), execute(trajectory, cancel))[1]
    record = runner.run(Goal(), 0)
    assert (record.ended_by, record.actions) == (EndedBy.CANCELLED, 1)
    assert table.halts == 1
    assert len(table.arm.executed) == 1


def test_cancel_while_deciding_commands_nothing():
    table = Table((0.1, 0.1))
    decider = Scripted(table)
    runner = EpisodeRunner(table, decider, GripperJudge(), RunnerConfig(), table.clock)
    decider.script = [lambda: (runner.cancel(), grasp_at(0.1, 0.1))[1]]
    assert runner.run(Goal(), 0).ended_by is EndedBy.CANCELLED
    assert not table.arm.executed


def test_a_stale_picture_is_refused_by_the_guard():
    table = Table((0.1, 0.1))
    decider = Scripted(table, nearest(table))
    decide = decider.decide

    def late(*arguments):
        made = decide(*arguments)
        return replace(made, observed_ns=made.observed_ns - 60_000_000_000)

    decider.decide = late
    runner = EpisodeRunner(table, decider, TruthJudge(table.look, WORKSPACE), RunnerConfig(), table.clock)
    record = runner.run(Goal(), 0)
    assert (record.ended_by, record.limits["stale_state"]) == (EndedBy.STUCK, 10)
