# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from launch.substitutions import LaunchConfiguration, TextSubstitution
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.utilities import join_namespace
from launch_ros.utilities.parameters import evaluate_parameters, to_parameter_rule, to_parameter_yaml

from launch import LaunchContext

KEYS = st.text("abcdefgh_", min_size=1, max_size=6)
TEXTS = st.text(max_size=12) | st.sampled_from(["1", "1e5", "true", "off", "null", "", "0x10", ".inf", "a: b", "- x"])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | FLOATS | TEXTS
LISTS = (
    st.lists(st.booleans(), min_size=1)
    | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1)
    | st.lists(FLOATS, min_size=1)
    | st.lists(TEXTS, min_size=1)
)


@pytest.fixture
def context():
    context = LaunchContext()
    context.launch_configurations.update(number="5", text="ur5", list="[1, 2]", empty="", odd="{a: b}", broken="[1")
    return context


@given(st.dictionaries(KEYS, SCALARS | LISTS, min_size=1))
def test_plain_values_survive_the_file(parameters):
    evaluated = evaluate_parameters(LaunchContext(), parameters)
    read = yaml.safe_load(to_parameter_yaml("/**", evaluated))
    assert read == {"/**": {"ros__parameters": parameters}}
    for name, value in read["/**"]["ros__parameters"].items():
        assert type(value) is type(parameters[name])


@given(TEXTS)
def test_text_is_always_quoted(text):
    # ROS's own reader takes 1e5 for a number where PyYAML does not; quotes leave no doubt.
    line = to_parameter_yaml("/n", {"a": text})
    assert 'a: "' in line


@given(KEYS, SCALARS | LISTS)
def test_plain_values_survive_the_command_line(name, value):
    given_name, _, text = to_parameter_rule(name, value).partition(":=")
    assert given_name == name
    read = yaml.safe_load(text)
    if isinstance(value, float):
        assert math.isclose(float(read), value, rel_tol=1e-15)
    else:
        assert read == value


def test_nested_dictionaries_become_dotted_names(context):
    parameters = {"arm": {"gains": {"p": 1.0, "d": 2}, LaunchConfiguration("text"): True}, "rate": 30}
    assert evaluate_parameters(context, parameters) == {
        "arm.gains.p": 1.0,
        "arm.gains.d": 2,
        "arm.ur5": True,
        "rate": 30,
    }


@pytest.mark.parametrize(
    ("value", "evaluated"),
    [
        (LaunchConfiguration("number"), 5),
        (LaunchConfiguration("text"), "ur5"),
        (LaunchConfiguration("list"), [1, 2]),
        (LaunchConfiguration("empty"), ""),
        ([TextSubstitution(text="1"), LaunchConfiguration("number")], 15),
        ([LaunchConfiguration("text"), "_arm"], "ur5_arm"),
        ([[LaunchConfiguration("text")], ["b"]], ["ur5", "b"]),
        (["1", "2"], ["1", "2"]),
        ([1, 2.5], [1.0, 2.5]),
        ((True, False), [True, False]),
        (ParameterValue(LaunchConfiguration("number"), value_type=str), "5"),
        (ParameterValue(LaunchConfiguration("number"), value_type=float), 5.0),
        (ParameterValue(LaunchConfiguration("list"), value_type=list[int]), [1, 2]),
        (ParameterValue(LaunchConfiguration("odd"), value_type=str), "{a: b}"),
        (ParameterValue(["a: ", LaunchConfiguration("number")], value_type=str), "a: 5"),
        (ParameterValue([1, 2.5]), [1.0, 2.5]),
    ],
)
def test_substitutions_follow_the_rules_of_yaml(context, value, evaluated):
    result = evaluate_parameters(context, {"p": value})["p"]
    assert result == evaluated
    assert type(result) is type(evaluated)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (LaunchConfiguration("odd"), TypeError, "parameter 'p' reads as {'a': 'b'}.*value_type=str"),
        (
            LaunchConfiguration("broken"),
            TypeError,
            r"cannot read the value of parameter 'p' as YAML(.|\n)*value_type=str",
        ),
        ([], TypeError, "non-empty list"),
        ([1, "a"], TypeError, "non-empty list of only"),
        (None, TypeError, "parameter 'p' is None"),
        ([None], TypeError, "parameter 'p' holds None"),
        (ParameterValue(LaunchConfiguration("text"), value_type=int), ValueError, "ur5"),
        (ParameterValue(LaunchConfiguration("text"), value_type=list[int]), ValueError, "list of int"),
    ],
)
def test_values_that_no_parameter_can_hold(context, value, error, message):
    with pytest.raises(error, match=message):
        evaluate_parameters(context, {"p": value})


def test_wrong_types_are_refused_at_once():
    with pytest.raises(ValueError, match="unrecognized data type"):
        ParameterValue("x", value_type=dict)
    with pytest.raises(TypeError, match="5 is not of type"):
        ParameterValue(5, value_type=str)
    with pytest.raises(TypeError, match="True is not of type"):
        ParameterValue(True, value_type=int)


@pytest.mark.parametrize(
    ("base", "namespace", "joined"),
    [
        (None, None, None),
        (None, "a", "/a"),
        ("/a", "b", "/a/b"),
        ("/a", "/b", "/b"),
        ("/a", None, "/a"),
        ("/", "b", "/b"),
        (None, "/", "/"),
        ("/a", "b/", "/a/b"),
    ],
)
def test_namespaces(base, namespace, joined):
    assert join_namespace(base, namespace) == joined
