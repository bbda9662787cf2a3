# SPDX-License-Identifier: Apache-2.0
"""Definitions for MCAP schemas: ROS-free, checked against the type hashes of the message packages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PACKAGE))

from ros2cli.api.definitions import (  # noqa: E402
    SEPARATOR,
    ament_prefixes,
    full_definition,
    interface_path,
    nested_types,
    split_type,
)

TYPES = [
    "std_msgs/msg/String",
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CameraInfo",
    "sensor_msgs/msg/JointState",
    "sensor_msgs/msg/PointCloud2",
    "trajectory_msgs/msg/JointTrajectory",
    "nav_msgs/msg/Odometry",
    "diagnostic_msgs/msg/DiagnosticArray",
    "visualization_msgs/msg/MarkerArray",
    "rcl_interfaces/msg/ParameterEvent",
    "shape_msgs/msg/SolidPrimitive",
    "action_msgs/msg/GoalStatusArray",
]


@pytest.fixture
def prefix(tmp_path):
    """Two packages that nest each other's messages, with everything a definition may hold."""
    files = {
        "base/msg/Leaf.msg": "# a/Comment field\nint32 X=1\nstring NAME='a # b'\n"
        "float64[3] xyz\nstring<=8[<=4] names\n",
        "base/msg/Pair.msg": "Leaf left\nbase/Leaf[] right # twice\n",
        "top/msg/Root.msg": "base/Pair[<=2] pairs\nbase/Leaf leaf\nOther other\n",
        "top/msg/Other.msg": "bool on\n",
        "top/action/Move.action": "base/Leaf target\n---\nbool ok\n---\nbase/Pair now\nfloat32 part\n",
        "top/srv/Ask.srv": "base/Leaf q\n---\nstring a\n",
    }
    for name, text in files.items():
        path = tmp_path / "share" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_full_definition_lists_every_nested_type_once(prefix):
    text = full_definition("top/msg/Root", [prefix])
    parts = text.split(f"\n{SEPARATOR}\n")
    assert parts[0] == (prefix / "share/top/msg/Root.msg").read_text()
    assert [part.splitlines()[0] for part in parts[1:]] == ["MSG: base/Pair", "MSG: base/Leaf", "MSG: top/Other"]
    assert parts[2].split("\n", 1)[1] == (prefix / "share/base/msg/Leaf.msg").read_text()


def test_full_definition_of_action_feedback(prefix):
    uuid = prefix / "share/unique_identifier_msgs/msg/UUID.msg"
    uuid.parent.mkdir(parents=True)
    uuid.write_text("uint8[16] uuid\n")
    text = full_definition("top/action/Move_FeedbackMessage", [prefix])
    assert text.startswith("unique_identifier_msgs/UUID goal_id\ntop/Move_Feedback feedback\n")
    assert "MSG: top/Move_Feedback\nbase/Pair now\nfloat32 part\n" in text
    assert "MSG: base/Leaf\n" in text


def test_comments_constants_and_bounds_are_no_types(prefix):
    assert nested_types((prefix / "share/base/msg/Leaf.msg").read_text(), "base") == []


@pytest.mark.parametrize("name", ["top/msg/Nope", "nope/msg/Root", "top/srv/Nope"])
def test_unknown_names_are_refused(prefix, name):
    with pytest.raises(LookupError, match=name.split("/")[0]):
        interface_path(name, [prefix])


@pytest.mark.parametrize("name", ["Root", "a/b/c/d", "top/mgs/Root", "top//Root"])
def test_malformed_names_are_refused(name):
    with pytest.raises(ValueError, match="Expected three parts"):
        split_type(name)


def test_a_missing_nested_type_is_named(prefix):
    (prefix / "share/base/msg/Leaf.msg").unlink()
    with pytest.raises(LookupError, match="Leaf"):
        full_definition("top/msg/Root", [prefix])


@pytest.mark.parametrize("name", TYPES)
def test_definition_has_the_type_hash_of_its_package(name):
    """The definition says exactly what the message package says: their RIHS01 hashes are equal."""
    package, kind, type_name = name.split("/")
    for prefix in ament_prefixes():
        description = prefix / "share" / package / kind / f"{type_name}.json"
        if description.is_file():
            break
    else:
        pytest.skip(f"{package} with its type descriptions is not installed")
    hashes = {item["type_name"]: item["hash_string"] for item in json.loads(description.read_text())["type_hashes"]}

    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(full_definition(name), name))
    assert store.hash_rihs01(name) == hashes[name]


def test_module_needs_the_standard_library_only():
    module = PACKAGE / "ros2cli/api/definitions.py"
    code = (
        "import importlib.util, sys; before = set(sys.modules)\n"
        f"spec = importlib.util.spec_from_file_location('d', {str(module)!r})\n"
        "m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m)\n"
        "print([n for n in set(sys.modules) - before if n.partition('.')[0] not in sys.stdlib_module_names])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"
