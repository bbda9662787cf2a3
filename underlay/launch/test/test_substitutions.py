# SPDX-License-Identifier: Apache-2.0
import os

import pytest
from launch.conditions import (
    IfCondition,
    InvalidConditionExpressionError,
    LaunchConfigurationEquals,
    LaunchConfigurationNotEquals,
    UnlessCondition,
)
from launch.substitutions import (
    AllSubstitution,
    AndSubstitution,
    AnonName,
    AnySubstitution,
    Command,
    EnvironmentVariable,
    EqualsSubstitution,
    FileContent,
    FindExecutable,
    IfElseSubstitution,
    LaunchConfiguration,
    LocalSubstitution,
    NotEqualsSubstitution,
    NotSubstitution,
    OrSubstitution,
    PathJoinSubstitution,
    PythonExpression,
    SubstitutionFailure,
    TextSubstitution,
    ThisLaunchFileDir,
)

from launch import LaunchContext


@pytest.fixture
def context():
    context = LaunchContext()
    context.launch_configurations.update(robot="ur5", yes="true", no="0", number="3")
    return context


def test_launch_configuration_is_read_when_performed(context):
    configuration = LaunchConfiguration("robot")
    context.launch_configurations["robot"] = "hsr"
    assert configuration.perform(context) == "hsr"


def test_launch_configuration_without_value_and_default_names_itself(context):
    with pytest.raises(SubstitutionFailure, match="launch configuration 'missing' does not exist"):
        LaunchConfiguration("missing").perform(context)


@pytest.mark.parametrize(
    ("default", "text"), [("a", "a"), (5, "5"), (["a", LaunchConfiguration("robot")], "aur5"), ("", "")]
)
def test_launch_configuration_default(context, default, text):
    assert LaunchConfiguration("missing", default=default).perform(context) == text


def test_name_of_a_configuration_may_be_a_substitution(context):
    context.launch_configurations["ur5_ip"] = "10.0.0.1"
    assert LaunchConfiguration([LaunchConfiguration("robot"), "_ip"]).perform(context) == "10.0.0.1"


def test_path_join(context):
    joined = PathJoinSubstitution(["/a", LaunchConfiguration("robot"), TextSubstitution(text="x.yaml")])
    assert joined.perform(context) == "/a/ur5/x.yaml"


def test_path_join_refuses_a_number():
    with pytest.raises(TypeError, match="got 5 of type int"):
        PathJoinSubstitution(["a", 5])


def test_environment_variable(context, monkeypatch):
    monkeypatch.setenv("GRASP_TEST", "there")
    assert EnvironmentVariable("GRASP_TEST").perform(context) == "there"
    assert EnvironmentVariable("GRASP_ABSENT", default_value="d").perform(context) == "d"
    with pytest.raises(SubstitutionFailure, match="'GRASP_ABSENT' does not exist"):
        EnvironmentVariable("GRASP_ABSENT").perform(context)


def test_command_gives_stdout(context):
    assert Command(["echo ", LaunchConfiguration("robot")]).perform(context) == "ur5\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [("no_such_program_at_all", "cannot run the command"), ("false", "failed with status 1")],
)
def test_command_that_fails(context, command, message):
    with pytest.raises(SubstitutionFailure, match=message):
        Command(command).perform(context)


def test_command_with_output_on_stderr(context, capsys):
    command = "sh -c 'echo warned >&2; echo fine'"
    with pytest.raises(SubstitutionFailure, match="warned"):
        Command(command).perform(context)
    assert Command(command, on_stderr="ignore").perform(context) == "fine\n"
    assert Command(command, on_stderr="capture").perform(context) == "warned\nfine\n"
    assert Command(command, on_stderr="warn").perform(context) == "fine\n"
    assert "warned" in capsys.readouterr().out


def test_find_executable(context):
    assert os.path.basename(FindExecutable(name="sh").perform(context)) == "sh"
    with pytest.raises(SubstitutionFailure, match="'no_such_program' not found"):
        FindExecutable(name="no_such_program").perform(context)


def test_file_content(context, tmp_path):
    (tmp_path / "robot.urdf").write_text("<robot/>")
    assert FileContent(PathJoinSubstitution([str(tmp_path), "robot.urdf"])).perform(context) == "<robot/>"
    with pytest.raises(SubstitutionFailure, match=r"absent\.urdf"):
        FileContent("absent.urdf").perform(context)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (["'", LaunchConfiguration("robot"), "' == 'ur5'"], "True"),
        ([LaunchConfiguration("number"), " * 2"], "6"),
        ("floor(2.5)", "2"),
        ("math.pi > 3", "True"),
    ],
)
def test_python_expression(context, expression, value):
    assert PythonExpression(expression).perform(context) == value


def test_python_expression_with_modules_and_errors(context):
    assert PythonExpression("os.sep", ["os"]).perform(context) == "/"
    with pytest.raises(SubstitutionFailure, match="cannot evaluate the Python expression 'undefined'"):
        PythonExpression("undefined").perform(context)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("true", "1", True),
        ("False", "0", True),
        (1, 1.0, True),
        ("1.50", "1.5", True),
        ("ur5", LaunchConfiguration("robot"), True),
        ("ur5", "hsr", False),
        (None, "", True),
        (True, "true", True),
        ("", "0", False),
    ],
)
def test_equals(context, left, right, equal):
    assert EqualsSubstitution(left, right).perform(context) == str(equal).lower()
    assert NotEqualsSubstitution(left, right).perform(context) == str(not equal).lower()


def test_boolean_substitutions(context):
    yes, no = LaunchConfiguration("yes"), LaunchConfiguration("no")
    assert NotSubstitution(yes).perform(context) == "false"
    assert AndSubstitution(yes, no).perform(context) == "false"
    assert OrSubstitution(no, yes).perform(context) == "true"
    assert AllSubstitution(yes, yes, "true").perform(context) == "true"
    assert AnySubstitution(no, "false").perform(context) == "false"
    with pytest.raises(SubstitutionFailure, match="cannot read 'ur5' as a bool"):
        NotSubstitution(LaunchConfiguration("robot")).perform(context)


def test_if_else_performs_only_what_it_chooses(context):
    chosen = IfElseSubstitution(LaunchConfiguration("yes"), if_value="a", else_value=LaunchConfiguration("missing"))
    assert chosen.perform(context) == "a"


def test_anon_name_is_unique_and_stable(context):
    name = AnonName("node")
    assert name.perform(context) == name.perform(context)
    assert name.perform(context).startswith("node_")
    assert AnonName("other").perform(context) != name.perform(context)


def test_local_substitution(context):
    context.extend_locals({"arguments": {"name": "__node:=n"}})
    assert LocalSubstitution("arguments['name']").perform(context) == "__node:=n"
    with pytest.raises(ValueError, match="LocalSubstitution"):
        LocalSubstitution("__import__('os')")


def test_this_launch_file_dir_outside_of_a_file(context):
    with pytest.raises(SubstitutionFailure, match="outside of a launch file"):
        ThisLaunchFileDir().perform(context)


@pytest.mark.parametrize(
    ("text", "holds"), [("true", True), ("1", True), (" TRUE ", True), ("False", False), ("0", False)]
)
def test_conditions(context, text, holds):
    assert IfCondition(text).evaluate(context) is holds
    assert UnlessCondition(text).evaluate(context) is not holds


def test_condition_that_is_no_truth_value(context):
    with pytest.raises(InvalidConditionExpressionError, match="got 'ur5'"):
        IfCondition(LaunchConfiguration("robot")).evaluate(context)


def test_launch_configuration_equals(context):
    with pytest.warns(UserWarning, match="deprecated"):
        assert LaunchConfigurationEquals("robot", "ur5").evaluate(context)
    with pytest.warns(UserWarning, match="deprecated"):
        assert LaunchConfigurationEquals("missing", None).evaluate(context)
    with pytest.warns(UserWarning, match="deprecated"):
        assert not LaunchConfigurationNotEquals("robot", "ur5").evaluate(context)
