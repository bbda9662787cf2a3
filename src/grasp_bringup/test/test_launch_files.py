# SPDX-License-Identifier: Apache-2.0
"""Every launch file loads, takes the same arguments, and refuses what makes no sense; no process is started."""

import sys
from pathlib import Path

import pytest
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    RegisterEventHandler,
    TimerAction,
)
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource

from grasp_bringup.arguments import ARGUMENTS, LaunchArgumentError, declare, refuse_undeclared
from grasp_bringup.blocks import REFUSED, hardware_nodes, planning, refusal_ends_the_launch
from grasp_bringup.cells import load_cell
from grasp_bringup.graph import CELL_ARGUMENTS, check_arguments
from grasp_core import resources
from launch import LaunchContext, LaunchDescription, LaunchService

FOLDER = Path(resources.find("config")).parent / "launch"
CELLS = resources.names("config", "cells")
GIVEN = {name: ARGUMENTS[name].default for name in CELL_ARGUMENTS} | {"scene": "drop"}


def context_with(**given):
    context = LaunchContext()
    context.launch_configurations.update(GIVEN | given)
    return context


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("mode", ["sim", "real"])
def test_each_cell_has_both_files_and_they_take_the_same_arguments(cell, mode):
    source = PythonLaunchDescriptionSource(str(FOLDER / f"{mode}_{cell}.launch.py"))
    arguments = {a.name: a for a in source.get_launch_description(LaunchContext()).get_launch_arguments()}
    assert tuple(arguments) == CELL_ARGUMENTS
    assert all(argument.description for argument in arguments.values())
    assert arguments["hardware"].default_value[0].text == mode


def test_every_argument_has_a_description_and_a_default_among_its_choices():
    for name, argument in ARGUMENTS.items():
        assert argument.description, name
        if argument.choices and argument.default is not None:
            assert argument.default in argument.choices, name


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hardware": "real"}, "robot_ip:="),
        ({"speed_scale": "0"}, "speed_scale is 0.0"),
        ({"speed_scale": "fast"}, "it is a number"),
        ({"objects": "2.5"}, "whole number"),
        ({"objects": "-2"}, "objects is -2; allowed is -1 or more"),
        ({"seed": "-1"}, "seed is -1; allowed is 0 or more"),
        ({"policy": "none", "episodes": "2"}, "episodes:=2 needs a policy"),
        ({"scene": "moon"}, "there is no scene 'moon'; there is .*blocks"),
        ({"camera": "fixed_camera=uvc"}, "the simulator's are used"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(given, words):
    with pytest.raises(LaunchArgumentError, match=words):
        check_arguments(context_with(**given), "ur5")


def test_a_planner_that_is_not_installed_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.setattr("grasp_bringup.graph.find_spec", lambda name: None)
    with pytest.raises(LaunchArgumentError, match="needs moveit_py, which is not installed"):
        check_arguments(context_with(planner="moveit"), "ur5")


NAMED = (
    "policy", "checkpoint", "scene", "objects", "episodes", "seed", "planner", "camera", "record", "record_dir",
    "launch_rviz", "viewer", "gui", "headless_mode", "hardware", "robot_ip", "speed_scale",
)  # fmt: skip


def test_users_find_the_same_names_everywhere():
    assert set(NAMED) <= set(CELL_ARGUMENTS)


@pytest.mark.parametrize("name", [name for name in CELL_ARGUMENTS if ARGUMENTS[name].choices])
def test_a_word_that_is_no_choice_is_refused_with_the_choices(name):
    (declared,) = [a for a in declare([name]) if isinstance(a, DeclareLaunchArgument)]
    context = LaunchContext()
    context.launch_configurations[name] = "moon"
    with pytest.raises(RuntimeError, match="moon.*not valid.*" + ARGUMENTS[name].choices[0]):
        declared.execute(context)


@pytest.mark.parametrize("given", [{"hardware": "real", "robot_ip": "127.0.0.1"}, {"use_mock_hardware": "true"}])
def test_a_cell_without_drivers_says_so(given):
    with pytest.raises(LaunchArgumentError, match="iiwa has no drivers for hardware:="):
        check_arguments(context_with(**given), "iiwa")


def test_the_robots_address_is_filled_in():
    nodes = hardware_nodes("ur5", "mock", "127.1.2.3")
    told = str([node.__dict__ for node in nodes])
    assert "127.1.2.3" in told
    assert "$(robot_ip)" not in told


def test_a_cell_without_depth_cannot_be_fused():
    with pytest.raises(LaunchArgumentError, match="iiwa has no camera with depth"):
        check_arguments(context_with(fusion="true"), "iiwa")


def test_an_unknown_cell_is_told_with_those_that_there_are():
    with pytest.raises(LookupError, match="there is ") as error:
        load_cell("ur55")
    assert all(cell in str(error.value) for cell in CELLS)


def test_strangers_are_refused_only_in_the_file_that_the_user_named(monkeypatch):
    context = context_with(sceen="drop")
    context.extend_locals({"current_launch_file_path": "/x/sim_ur5.launch.py"})
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "grasp_bringup", "sim_ur5.launch.py", "sceen:=drop"])
    with pytest.raises(LaunchArgumentError, match="Did you mean 'scene'"):
        refuse_undeclared(context, CELL_ARGUMENTS)
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "their_lab", "lab.launch.py", "sceen:=drop"])
    refuse_undeclared(context, CELL_ARGUMENTS)


def test_a_users_launch_file_with_arguments_of_its_own_can_include_ours(tmp_path):
    inner = tmp_path / "inner.launch.py"
    inner.write_text(
        "from grasp_bringup.arguments import declare\n"
        "from launch import LaunchDescription\n"
        "def generate_launch_description():\n"
        "    return LaunchDescription(declare(['seed', 'log_level']))\n"
    )
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(inner)), launch_arguments={"seed": "3"}.items()
    )
    service = LaunchService()
    service.include_launch_description(
        LaunchDescription([DeclareLaunchArgument("my_table", default_value="oak"), include])
    )
    assert service.run() == 0


def test_only_arguments_of_the_table_can_be_declared():
    with pytest.raises(KeyError):
        declare(["my_table"])


def test_a_part_that_refuses_its_parameters_ends_the_launch_instead_of_being_started_again():
    refuses = ExecuteProcess(cmd=[sys.executable, "-c", f"raise SystemExit({REFUSED})"], respawn=True)
    too_late = TimerAction(period=30.0, actions=[EmitEvent(event=Shutdown(reason="nothing ended it"))])
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription([refusal_ends_the_launch(refuses), refuses, too_late]))
    assert service.run() == 1
    assert any(isinstance(part, RegisterEventHandler) for part in planning("ur5"))
