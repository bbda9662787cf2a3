# SPDX-License-Identifier: Apache-2.0
"""Arms, grippers and cells over ROS against controllers that refuse, fail, fall silent or never end."""

import threading
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("control_msgs.action", reason="control_msgs is not built; run the tests through ./ws test")
pytest.importorskip("grasp_interfaces.action", reason="grasp_interfaces is not built; run the tests through ./ws test")

from control_msgs.action import FollowJointTrajectory, GripperCommand  # noqa: E402
from domain_coordinator import domain_id  # noqa: E402
from rclpy.action import ActionServer, CancelResponse, GoalResponse  # noqa: E402
from rclpy.callback_groups import ReentrantCallbackGroup  # noqa: E402
from rclpy.executors import MultiThreadedExecutor  # noqa: E402
from rclpy.task import Future  # noqa: E402
from rclpy.time import Time  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from grasp_core.cell_config import ArmConfig, GripperConfig  # noqa: E402
from grasp_core.joint_states import JointStates  # noqa: E402
from grasp_core.ports import GripperLimits, JointState, JointTrajectory, MotionStatus, StateError  # noqa: E402
from grasp_core.ros_running import leave_graph  # noqa: E402
from grasp_episodes.ros_calls import (  # noqa: E402
    CANCELLED_S,
    GoalRunner,
    OrderedActionClient,
    call_service,
)
from grasp_episodes.ros_parts import TRUTH_S, RosTruth  # noqa: E402
from grasp_episodes.ros_ports import RosArm, RosGripper, Wire  # noqa: E402
from grasp_episodes.settings import RosCellOptions  # noqa: E402

Follow = FollowJointTrajectory.Result
CONTROLLERS = {"base": ("x", "y"), "arm": ("a",)}
OPTIONS = RosCellOptions(
    use_sim_time=False, answer_timeout_s=2.0, motion_overtime_s=0.5, gripper_timeout_s=1.0, tf_prefix="r_"
)


class Controller:
    """A server that does what ``behaviour`` says; it remembers what it was asked and whether it was cancelled."""

    def __init__(self, node, kind, name, result):
        self.behaviour, self.result, self.goals, self.cancelled = "succeed", result, [], threading.Event()
        self.server = ActionServer(
            node,
            kind,
            name,
            self._execute,
            goal_callback=self._consider,
            cancel_callback=self._cancel,
            callback_group=ReentrantCallbackGroup(),
        )

    def _consider(self, goal):
        self.goals.append(goal)
        return GoalResponse.REJECT if self.behaviour == "reject" else GoalResponse.ACCEPT

    def _cancel(self, _):
        self.cancelled.set()
        return CancelResponse.ACCEPT

    def _execute(self, handle):
        if self.behaviour in ("wait", "ignore"):
            self.cancelled.wait(5.0)
            handle.canceled() if handle.is_cancel_requested else handle.abort()
        elif self.behaviour == "succeed":
            handle.succeed()
        else:
            handle.abort()
        return self.result(self.behaviour)


def follow_result(behaviour):
    codes = {
        "path": Follow.PATH_TOLERANCE_VIOLATED,
        "goal": Follow.GOAL_TOLERANCE_VIOLATED,
        "taken": Follow.INVALID_GOAL,
    }
    return Follow(error_code=codes.get(behaviour, Follow.SUCCESSFUL), error_string=behaviour)


def grip_result(behaviour):
    return GripperCommand.Result(position=0.03, effort=20.0, stalled=behaviour != "give up", reached_goal=False)


class Fingers:
    """Opens by a metre a radian of its one joint."""

    limits = GripperLimits(0.0, 0.1, 1.0, 40.0)
    joints = ("finger",)

    def width_m(self, positions):
        return positions["finger"]


@pytest.fixture(scope="module")
def graph():
    context = rclpy.Context()
    with domain_id() as domain:
        rclpy.init(context=context, domain_id=domain)
        here, there = (rclpy.create_node(name, context=context) for name in ("client", "controllers"))
        servers = {
            name: Controller(there, FollowJointTrajectory, f"{name}/follow_joint_trajectory", follow_result)
            for name in CONTROLLERS
        }
        servers["grip"] = Controller(there, GripperCommand, "grip/gripper_cmd", grip_result)
        executor = MultiThreadedExecutor(6, context=context)
        for node in (here, there):
            executor.add_node(node)
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()
        # Kept to the end: one that Python takes away while the executor looks at it ends the executor's thread.
        here.kept = []
        yield here, servers
        executor.shutdown()
        thread.join(10)
        for node in (here, there):
            leave_graph(node)
        rclpy.shutdown(context=context)


@pytest.fixture
def ports(graph):
    node, servers = graph
    for server in servers.values():
        server.behaviour, server.goals = "succeed", []
        server.cancelled.clear()
    joints = JointStates(1e6, lambda: node.get_clock().now().nanoseconds)
    joints.add(JointState.at_rest({"x": 0.0, "y": 0.0, "a": 0.0, "finger": 0.03}))
    wire = Wire(node, GoalRunner(node.get_clock(), OPTIONS.answer_timeout_s), joints, OPTIONS)
    arm = RosArm(wire, "arm", ArmConfig(group="arm", tcp_frame="tcp", gripper="grip", controllers=CONTROLLERS))
    gripper = RosGripper(wire, "grip", GripperConfig(kind="toy", controller="grip"), Fingers())
    node.kept += [arm, gripper]
    return arm, gripper, servers, joints


def way(names=("a", "x", "y"), seconds=1.0):
    positions = np.arange(2.0 * len(names)).reshape(2, -1)
    return JointTrajectory(tuple(names), np.array([0.0, seconds]), positions)


def test_a_trajectory_is_split_by_controller_with_the_prefix(ports):
    arm, _, servers, _ = ports
    assert arm.execute(way()).ok
    base, a = (servers[name].goals[0].trajectory for name in ("base", "arm"))
    assert (list(base.joint_names), list(a.joint_names)) == (["r_x", "r_y"], ["r_a"])
    assert list(base.points[1].positions) == [4.0, 5.0]
    assert list(a.points[1].positions) == [3.0]
    assert arm.execute(way(("a",))).ok
    assert len(servers["base"].goals) == 1, "a controller without joints in the trajectory was sent a goal"


@pytest.mark.parametrize("names", [("x",), ("x", "y", "z")])
def test_what_cannot_be_split_is_rejected_and_nothing_is_sent(ports, names):
    arm, _, servers, _ = ports
    result = arm.execute(way(names))
    assert result.status is MotionStatus.REJECTED
    assert ("y" if len(names) == 1 else "z") in result.message
    assert not servers["base"].goals


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        ("path", MotionStatus.PATH_TOLERANCE),
        ("goal", MotionStatus.GOAL_TOLERANCE),
        ("taken", MotionStatus.STOPPED),
        ("reject", MotionStatus.REJECTED),
    ],
)
def test_what_one_controller_reports_ends_the_other_too(ports, behaviour, status):
    arm, _, servers, _ = ports
    servers["arm"].behaviour, servers["base"].behaviour = behaviour, "wait"
    result = arm.execute(way(seconds=20.0))
    assert result.status is status
    assert result.message.startswith("arm: ")
    assert servers["base"].cancelled.wait(2.0), "the other controller went on"


def test_a_motion_that_never_ends_is_given_up_and_cancelled(ports):
    arm, _, servers, _ = ports
    servers["arm"].behaviour = "wait"
    result = arm.execute(way(("a",), seconds=0.1))
    assert result.status is MotionStatus.TIMED_OUT
    assert servers["arm"].cancelled.is_set()


def test_cancel_reaches_the_controllers(ports):
    arm, _, servers, _ = ports
    for name in CONTROLLERS:
        servers[name].behaviour = "wait"
    cancel = threading.Event()
    threading.Thread(target=lambda: (_until(lambda: servers["base"].goals), cancel.set())).start()
    assert arm.execute(way(seconds=20.0), cancel).status is MotionStatus.CANCELLED
    assert all(servers[name].cancelled.is_set() for name in CONTROLLERS)


def test_stop_from_another_thread_ends_a_motion(ports):
    arm, _, servers, _ = ports
    servers["arm"].behaviour = "wait"
    threading.Thread(target=lambda: (_until(lambda: servers["arm"].goals), arm.stop())).start()
    result = arm.execute(way(("a",), seconds=20.0))
    assert result.status is MotionStatus.STOPPED
    assert servers["arm"].cancelled.is_set()


def test_a_gripper_holds_until_its_fingers_move_on(ports):
    _, gripper, servers, joints = ports
    state = gripper.move(0.0, 25.0)
    assert servers["grip"].goals[0].command.max_effort == 25.0
    assert (state.width_m, state.stalled, state.holding, state.effort_n) == (0.03, True, True, 20.0)
    joints.add(JointState.at_rest({"finger": 0.0005}))
    assert gripper.state().holding is False, "the object slipped out and the gripper still claims to hold it"
    gripper.forget()
    joints.add(JointState.at_rest({"finger": 0.03}))
    assert gripper.state().holding is False


def test_a_gripper_that_refuses_or_never_ends_is_told(ports):
    _, gripper, servers, _ = ports
    servers["grip"].behaviour = "reject"
    with pytest.raises(StateError, match="did not take"):
        gripper.move(0.0)
    servers["grip"].behaviour = "ignore"
    with pytest.raises(StateError, match="did not end its motion within 1 s"):
        gripper.move(0.0)
    servers["grip"].behaviour = "give up"
    with pytest.raises(StateError, match="gave up its motion"):
        gripper.move(0.0)
    with pytest.raises(ValueError, match="no joints of its own"):
        gripper.preshape({"spread": 1.0})


def test_a_gripper_that_aborts_at_an_object_holds_it(ports):
    _, gripper, servers, _ = ports
    servers["grip"].behaviour = "abort"
    assert gripper.move(0.0).holding


def test_silence_is_a_result(ports):
    arm, _, _, _ = ports
    lost = RosArm(arm._wire, "lost", ArmConfig(group="g", tcp_frame="t", gripper="g", controllers={"gone": ("a",)}))
    result = lost.execute(way(("a",)))
    assert result.status is MotionStatus.TIMED_OUT
    assert "gone" in result.message


def _until(condition, timeout_s=5.0):
    gate, deadline = threading.Event(), time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        gate.wait(0.01)


class SlowToRemember(dict):
    """The requests that a client waits for; each is remembered only after its answer has had time to come."""

    def __setitem__(self, number, future):
        threading.Event().wait(0.2)
        super().__setitem__(number, future)


def test_an_answer_that_comes_before_its_request_is_remembered_is_not_lost(graph):
    client = OrderedActionClient(graph[0], GripperCommand, "grip/gripper_cmd")
    graph[0].kept.append(client)
    assert client.wait_for_server(10.0)
    client._pending_goal_requests = SlowToRemember()
    answered = threading.Event()
    client.send_goal_async(GripperCommand.Goal()).add_done_callback(lambda _: answered.set())
    assert answered.wait(5.0), "the answer was lost"


class Silent:
    """A service that is offered, or not, and never answers."""

    srv_name = "set_obstacles"

    def __init__(self, there):
        self._there, self.forgotten = there, []

    def service_is_ready(self):
        return self._there

    def wait_for_service(self, timeout_s):
        return self._there or threading.Event().wait(timeout_s)

    def call_async(self, request):
        return Future()

    def remove_pending_request(self, future):
        self.forgotten.append(future)


@pytest.mark.parametrize("there", [True, False])
def test_a_silent_service_is_not_waited_for_after_a_cancellation(there):
    cancel, client = threading.Event(), Silent(there)
    threading.Timer(0.3, cancel.set).start()
    begin = time.monotonic()
    with pytest.raises(StateError, match="set_obstacles"):
        call_service(client, None, 60.0, cancel)
    waited_s = time.monotonic() - begin
    assert CANCELLED_S < waited_s < 5.0 * CANCELLED_S
    assert len(client.forgotten) == int(there)


@pytest.mark.parametrize("before", [True, False])
def test_who_waits_for_the_truth_is_told_when_that_is_given_up(graph, before):
    truth = RosTruth(graph[0], ReentrantCallbackGroup())
    if before:
        truth.give_up()
    else:
        threading.Timer(0.1, truth.give_up).start()
    begin = time.monotonic()
    with pytest.raises(StateError, match="told to stop"):
        truth.look()
    assert time.monotonic() - begin < 0.8 * TRUTH_S


def test_the_truth_of_the_scene_before_is_not_taken_for_that_of_the_new_one(graph):
    """A clock that lags behind the new scene lets what was stamped in the old one look new."""
    node, _ = graph
    new_ns = node.get_clock().now().nanoseconds + 3_600_000_000_000
    truth = RosTruth(node, ReentrantCallbackGroup(), lambda: new_ns)
    old, new = (MarkerArray(markers=[Marker(action=Marker.ADD, id=k)]) for k in (0, 1))
    old.markers[0].header.stamp = Time(nanoseconds=new_ns - 1).to_msg()
    new.markers[0].header.stamp = Time(nanoseconds=new_ns).to_msg()
    truth._keep_objects(old)
    threading.Timer(0.2, truth._keep_objects, (new,)).start()
    assert set(truth.look().positions) == {1}
