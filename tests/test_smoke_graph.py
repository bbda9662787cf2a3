# SPDX-License-Identifier: Apache-2.0
"""The smallest real graph: two processes, a custom action, images; and what becomes of it when things go wrong."""

import os
import shutil
import signal
import subprocess

import pytest
from graph import Launch, wait_until

pytestmark = pytest.mark.graph

SMOKE = ("ros2", "launch", "grasp_bringup", "smoke.launch.py")


@pytest.fixture(autouse=True)
def _built():
    if shutil.which("ros2") is None:
        pytest.fail("there is no ros2 on PATH; run the tests through ./ws test")


def test_it_exchanges_pictures_and_actions_and_ends_by_itself(graph_environment):
    with Launch(graph_environment, *SMOKE, "exchanges:=3") as launch:
        assert launch.finish() == 0, launch.text()
        assert "3 of 3 answers were right" in launch.text()
        assert "[smoke_cell_node-2] " in launch.text()
        assert launch.descendants() == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(graph_environment, how):
    with Launch(graph_environment, *SMOKE, "exchanges:=1000000") as launch:
        launch.wait_for("exchange 2:")
        assert len(launch.descendants()) >= 2
        launch.process.send_signal(how)
        launch.finish()
        assert wait_until(lambda: launch.descendants() == []), launch.text()


def test_a_launch_that_is_killed_takes_its_nodes_along(graph_environment):
    with Launch(graph_environment, *SMOKE, "exchanges:=1000000") as launch:
        launch.wait_for("exchange 2:")
        launch.process.kill()
        launch.process.wait(10)
        assert wait_until(lambda: launch.descendants() == [])


def test_a_killed_policy_is_named_and_started_again(graph_environment):
    with Launch(graph_environment, *SMOKE, "exchanges:=1000000") as launch:
        launch.wait_for("exchange 2:")
        os.kill(launch.pid_of(["smoke_policy_node"]), signal.SIGKILL)
        launch.wait_for(r"\[smoke_policy_node-1\]: process has died \[pid \d+, exit code -9")
        launch.wait_for(r"\[smoke_policy_node-1\]: process started with pid")


def test_a_killed_cell_ends_the_launch_with_an_error(graph_environment):
    with Launch(graph_environment, *SMOKE, "exchanges:=1000000") as launch:
        launch.wait_for("exchange 2:")
        os.kill(launch.pid_of(["smoke_cell_node"]), signal.SIGKILL)
        assert launch.finish() == 1
        assert "smoke_cell_node-2 ended with exit code -9" in launch.text()
        assert wait_until(lambda: launch.descendants() == []), launch.text()


@pytest.mark.parametrize(
    ("argument", "words"),
    [("exchange:=3", "Did you mean 'exchanges'"), ("log_level:=loud", "loud"), ("exchanges:=many", "many")],
)
def test_wrong_arguments_are_refused_by_name(graph_environment, argument, words):
    with Launch(graph_environment, *SMOKE, argument) as launch:
        assert launch.finish() == 1
        assert words in launch.text()


def test_two_graphs_on_one_machine_do_not_meet(graph_environment, tmp_path):
    from domain_coordinator import domain_id

    with domain_id() as other:
        elsewhere = {**graph_environment, "ROS_DOMAIN_ID": str(other)}
        with Launch(graph_environment, *SMOKE, "exchanges:=1000000") as launch:
            launch.wait_for("exchange 1:")
            command = ["ros2", "node", "list", "--spin-time", "2"]
            here = subprocess.run(command, env=graph_environment, capture_output=True, text=True, timeout=60)
            there = subprocess.run(command, env=elsewhere, capture_output=True, text=True, timeout=60)
    assert "/smoke_cell" in here.stdout
    assert "/smoke_" not in there.stdout
