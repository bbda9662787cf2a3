# SPDX-License-Identifier: Apache-2.0
import pytest
from launch.actions import GroupAction, OpaqueFunction, SetLaunchConfiguration
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, PushRosNamespace, SetParameter, SetParametersFromFile, SetRemap
from launch_ros.parameter_descriptions import Parameter, ParameterFile
from launch_ros.substitutions import ExecutableInPackage, FindPackagePrefix, FindPackageShare

from launch import LaunchContext


def node(**kwargs):
    return Node(package="demo", executable="show", output="screen", **kwargs)


def test_bare_node(start):
    started = start(node())
    assert started.arguments == [["--ros-args"]]
    assert "[show-" in started.text


def test_command_line_in_upstreams_order(start, tmp_path):
    file = tmp_path / "rates.yaml"
    file.write_text("/**: {ros__parameters: {rate: 5}}")
    started = start(
        SetLaunchConfiguration("camera", "wrist"),
        node(
            name=[LaunchConfiguration("camera"), "_driver"],
            namespace="cell",
            arguments=["--verbose", LaunchConfiguration("camera")],
            ros_arguments=["--log-level", "debug"],
            parameters=[str(file), Parameter("gain", 2.5), ParameterFile(file)],
            remappings=[("image", [LaunchConfiguration("camera"), "/image_raw"])],
        ),
    )
    assert started.arguments == [
        [
            *("--verbose", "wrist", "--ros-args", "--log-level", "debug", "--ros-args"),
            *("-r", "__node:=wrist_driver", "-r", "__ns:=/cell"),
            *("--params-file", str(file), "-p", "gain:=2.5", "--params-file", str(file)),
            *("-r", "image:=wrist/image_raw"),
        ]
    ]


def test_executable_without_package_and_label(start, prefix):
    started = start(Node(executable=str(prefix / "lib/demo/show"), exec_name="labelled", output="screen"))
    assert started.arguments == [["--ros-args"]]
    assert "[labelled-" in started.text


def test_scope_gives_namespace_parameters_and_remappings(start, tmp_path):
    file = tmp_path / "scope.yaml"
    file.write_text("/**: {ros__parameters: {a: 1}}")
    started = start(
        SetParameter("outer", "1e5"),
        GroupAction(
            [
                PushRosNamespace("cell"),
                PushRosNamespace("arm"),
                SetParameter("use_sim_time", True),
                SetParametersFromFile(str(file)),
                SetRemap("tf", "/tf"),
                node(name="inside", namespace="tool", remappings=[("a", "b")]),
                node(name="absolute", namespace="/elsewhere"),
            ]
        ),
        node(name="outside"),
    )
    inside, absolute, outside = started.arguments
    common = ["-p", 'outer:="1e5"', "-p", "use_sim_time:=true", "--params-file", str(file), "-r", "tf:=/tf"]
    assert inside == ["--ros-args", "-r", "__node:=inside", "-r", "__ns:=/cell/arm/tool", *common, "-r", "a:=b"]
    assert absolute == ["--ros-args", "-r", "__node:=absolute", "-r", "__ns:=/elsewhere", *common]
    assert outside == ["--ros-args", "-r", "__node:=outside", "-p", 'outer:="1e5"']


def test_parameters_are_for_the_named_node_only_if_it_is_fully_named(start):
    started = start(node(name="n", namespace="/", parameters=[{"a": 1}]), node(name="n", parameters=[{"a": 1}]))
    assert list(started.parameters(0)[0]) == ["/n"]
    assert list(started.parameters(1)[0]) == ["/**"]


def test_condition(start):
    assert start(node(condition=IfCondition("false")), node(name="second")).arguments == [
        ["--ros-args", "-r", "__node:=second"]
    ]


def test_names_are_known_after_execution(start):
    action = node(name="n", namespace="cell")
    with pytest.raises(RuntimeError, match="before executing"):
        _ = action.node_name
    names = []
    start(action, OpaqueFunction(function=lambda context: names.append(action.node_name)))
    assert names == ["/cell/n"]


def test_two_nodes_of_one_name_are_warned_of(start):
    started = start(node(name="n", namespace="/"), node(name="n", namespace="/"))
    assert "there are now at least 2 nodes with the name /n" in started.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "9lives"}, "invalid node name '9lives'"),
        ({"name": "a/b"}, "invalid node name 'a/b'"),
        ({"namespace": "a//b"}, "invalid namespace '/a//b'"),
    ],
)
def test_invalid_names_fail_the_launch(start, arguments, message):
    started = start(node(**arguments))
    assert started.code == 1
    assert message in started.text


def test_missing_package_and_executable_fail_the_launch(start):
    absent = start(Node(package="absent_package", executable="x"))
    assert absent.code == 1
    assert "absent_package" in absent.text
    missing = start(Node(package="demo", executable="missing"))
    assert missing.code == 1
    assert "executable 'missing' not found on the libexec directory" in missing.text


def test_missing_parameter_file_is_warned_of(start):
    started = start(node(parameters=["/no/such.yaml"]))
    assert started.arguments == [["--ros-args"]]
    assert "Parameter file path is not a file: /no/such.yaml" in started.text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: node(cmd=["x"]), "does not support the keyword argument"),
        (lambda: node(node_name="x"), "'node_name'"),
        (lambda: node(lifecycle=True), "'lifecycle'"),
        (lambda: node(parameters={"a": 1}), "parameters of a Node are a list, as upstream"),
        (lambda: node(parameters=({"a": 1},)), "parameters of a Node are a list, as upstream"),
        (lambda: node(ros_arguments=("--log-level", "debug")), "ros_arguments of a Node are a list"),
        (lambda: node(remappings=[["a", "b"]]), r"a remapping is a pair \(from, to\)"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_substitution_in_parameter_files_is_refused():
    with pytest.raises(ValueError, match="not supported by the launch_ros stand-in"):
        ParameterFile("x.yaml", allow_substs=True)


@pytest.mark.parametrize("name", ["LifecycleNode", "ComposableNodeContainer", "LoadComposableNodes", "SetUseSimTime"])
def test_unsupported_actions_are_refused(name):
    import launch_ros.actions

    with pytest.raises(ImportError, match=f"does not support '{name}'"):
        getattr(launch_ros.actions, name)


def test_unsupported_description_is_refused():
    with pytest.raises(ImportError, match="does not support 'ComposableNode'"):
        from launch_ros.descriptions import ComposableNode  # noqa: F401


def test_package_substitutions(prefix):
    context = LaunchContext()
    assert FindPackagePrefix("demo").perform(context) == str(prefix)
    share = PathJoinSubstitution([FindPackageShare("demo"), "config", "x.yaml"])
    assert share.perform(context) == str(prefix / "share/demo/config/x.yaml")
    assert ExecutableInPackage("show", "demo").perform(context) == str(prefix / "lib/demo/show")
