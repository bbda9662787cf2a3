# SPDX-License-Identifier: Apache-2.0
import os

import pytest
from launch.actions import (
    AppendEnvironmentVariable,
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    TimerAction,
    UnsetLaunchConfiguration,
)
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution

from launch import LaunchDescription, LaunchIntrospector, UndeclaredLaunchArgumentError, check_launch_arguments

CAMERA = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo
from launch.substitutions import LaunchConfiguration, ThisLaunchFileDir
def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("camera", default_value="realsense", description="which camera"),
        LogInfo(msg=["camera is ", LaunchConfiguration("camera"), " in ", ThisLaunchFileDir()]),
    ])
"""
DYNAMIC = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
def generate_launch_description():
    return LaunchDescription([OpaqueFunction(function=lambda context: [
        DeclareLaunchArgument("late"), LogInfo(msg=["late is ", LaunchConfiguration("late")])])])
"""


@pytest.fixture
def camera_file(tmp_path):
    path = tmp_path / "camera.launch.py"
    path.write_text(CAMERA)
    return str(path)


@pytest.fixture
def dynamic_file(tmp_path):
    path = tmp_path / "dynamic.launch.py"
    path.write_text(DYNAMIC)
    return str(path)


def include(path, **arguments):
    return IncludeLaunchDescription(PythonLaunchDescriptionSource(path), launch_arguments=arguments.items())


def show(name):
    return LogInfo(msg=[name, "=", LaunchConfiguration(name, default="unset")])


def test_default_and_description(run):
    argument = DeclareLaunchArgument("robot", default_value="ur5", description="the robot", choices=["ur5", "hsr"])
    assert argument.description == "the robot. Valid choices are: ['ur5', 'hsr']"
    assert "robot=ur5" in run(argument, show("robot")).text


def test_value_outside_the_choices_fails_the_launch(run):
    outcome = run(SetLaunchConfiguration("robot", "spot"), DeclareLaunchArgument("robot", choices=["ur5", "hsr"]))
    assert outcome.code == 1
    assert "'robot' provided value 'spot' is not valid. Valid options are: ['ur5', 'hsr']" in outcome.text


def test_required_argument_that_is_missing_fails_the_launch(run):
    outcome = run(DeclareLaunchArgument("robot_ip", description="address of the arm"), LogInfo(msg="not reached"))
    assert outcome.code == 1
    assert "'robot_ip' was not provided. It means: address of the arm" in outcome.text
    assert "not reached" not in outcome.text


def test_default_outside_the_choices_is_refused_at_once():
    with pytest.raises(RuntimeError, match="default 'spot' is not among choices"):
        DeclareLaunchArgument("robot", default_value="spot", choices=["ur5"])


def test_include_sets_arguments_and_this_file(run, camera_file):
    outcome = run(include(camera_file, camera="kinect"))
    assert outcome.code == 0
    assert f"camera is kinect in {os.path.dirname(camera_file)}" in outcome.text


def test_include_is_no_scope_but_a_group_is(run, camera_file):
    leaking = run(include(camera_file, camera="kinect"), show("camera"))
    assert "camera=kinect" in leaking.text
    scoped = run(GroupAction([include(camera_file, camera="kinect")]), show("camera"))
    assert "camera=unset" in scoped.text


def test_included_file_sees_the_configurations_of_the_including_one(run, camera_file):
    assert "camera is replay in" in run(SetLaunchConfiguration("camera", "replay"), include(camera_file)).text


def test_group_forwarding_and_own_configurations(run):
    outcome = run(
        SetLaunchConfiguration("outside", "1"),
        GroupAction([show("outside"), show("inside")], forwarding=False, launch_configurations={"inside": "2"}),
        GroupAction([SetLaunchConfiguration("leaked", "3")], scoped=False),
        show("inside"),
        show("leaked"),
        UnsetLaunchConfiguration("leaked"),
        show("leaked"),
    )
    shown = [line.rpartition(": ")[2] for line in outcome.text.splitlines() if "launch.user" in line]
    assert shown == ["outside=unset", "inside=2", "inside=unset", "leaked=3", "leaked=unset"]


def test_environment_ends_with_the_group(run, monkeypatch):
    monkeypatch.setenv("GRASP_LIST", "b")
    value = EnvironmentVariable("GRASP_LIST")
    outcome = run(
        GroupAction(
            [
                AppendEnvironmentVariable("GRASP_LIST", "a", prepend=True),
                SetEnvironmentVariable("GRASP_NEW", "new"),
                LogInfo(msg=["inside ", value, " ", EnvironmentVariable("GRASP_NEW")]),
            ]
        ),
        LogInfo(msg=["outside ", value, EnvironmentVariable("GRASP_NEW", default_value="")]),
    )
    assert "inside a:b new" in outcome.text
    assert "outside b\n" in outcome.text


def test_condition_decides_about_a_whole_group(run):
    yes, no = GroupAction([LogInfo(msg="yes")], condition=IfCondition("1")), GroupAction([LogInfo(msg="no")])
    no = GroupAction([LogInfo(msg="no")], condition=IfCondition("0"))
    text = run(yes, no).text
    assert "]: yes" in text
    assert "]: no" not in text


def test_arguments_are_found_through_includes_groups_and_timers(camera_file):
    description = LaunchDescription(
        [
            GroupAction([include(camera_file)], condition=IfCondition("0")),
            TimerAction(period=1.0, actions=[DeclareLaunchArgument("later")]),
        ]
    )
    arguments = {argument.name: argument for argument in description.get_launch_arguments()}
    assert list(arguments) == ["camera", "later"]
    assert arguments["later"]._conditionally_included


@pytest.mark.parametrize("path_is_known", [True, False])
def test_undeclared_argument_of_an_include_is_an_error(run, camera_file, path_is_known):
    folder, name = os.path.split(camera_file)
    path = camera_file if path_is_known else PathJoinSubstitution([LaunchConfiguration("folder"), name])
    outcome = run(SetLaunchConfiguration("folder", folder), include(path, camra="kinect"))
    assert outcome.code == 1
    assert "'camra' is not declared by" in outcome.text
    assert f"{camera_file}' or anything it includes. Did you mean 'camera'?" in outcome.text
    assert "Declared arguments: 'camera'." in outcome.text


def test_argument_declared_in_a_function_is_found_when_it_runs(run, dynamic_file):
    good = run(include(dynamic_file, late="x"))
    assert good.code == 0
    assert "late is x" in good.text
    bad = run(include(dynamic_file, late="x", later="y"))
    assert bad.code == 1
    assert "'later' is not declared" in bad.text


def test_configurations_of_the_launch_itself_need_no_declaration(run, camera_file):
    assert run(include(camera_file, sigterm_timeout="1", emulate_tty="true")).code == 0


def test_check_launch_arguments(camera_file, dynamic_file):
    description = LaunchDescription([include(camera_file)])
    assert check_launch_arguments(description, ["camera"], "top.launch.py") == set()
    with pytest.raises(UndeclaredLaunchArgumentError, match=r"'cam' is not declared by 'top\.launch\.py'"):
        check_launch_arguments(description, ["cam"], "top.launch.py")
    assert check_launch_arguments(LaunchDescription([include(dynamic_file)]), ["cam"], "x") == {"cam"}


def test_missing_required_argument_of_an_include(run, tmp_path):
    path = tmp_path / "arm.launch.py"
    path.write_text(CAMERA.replace(', default_value="realsense"', ""))
    outcome = run(include(str(path)))
    assert outcome.code == 1
    assert "missing the required argument 'camera' (description: 'which camera')" in outcome.text


def test_opaque_function_gets_its_arguments(run):
    def function(context, greeting, *, mark):
        return [LogInfo(msg=f"{greeting} {context.launch_configurations['robot']}{mark}")]

    action = OpaqueFunction(function=function, args=["hello"], kwargs={"mark": "!"})
    assert "hello ur5!" in run(SetLaunchConfiguration("robot", "ur5"), action).text


def test_exception_in_a_function_fails_the_launch(run):
    def function(context):
        raise KeyError("no such cell")

    outcome = run(OpaqueFunction(function=function))
    assert outcome.code == 1
    assert "Caught exception in launch (see debug for traceback): 'no such cell'" in outcome.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "does not contain the function"),
        ("def generate_launch_description():\n    return 5", "returned 5, expected a LaunchDescription"),
    ],
)
def test_file_that_is_no_launch_file(run, tmp_path, text, message):
    path = tmp_path / "bad.launch.py"
    path.write_text(text)
    outcome = run(include(str(path)))
    assert outcome.code == 1
    assert message in outcome.text


def test_introspector_shows_the_tree(camera_file):
    text = LaunchIntrospector().format_launch_description(LaunchDescription([GroupAction([include(camera_file)])]))
    assert "IncludeLaunchDescription" in text
    assert "└── LogInfo('camera is ' + LaunchConfig('camera') + ' in ' + ThisLaunchFileDir())" in text
