# SPDX-License-Identifier: Apache-2.0
"""Messages to YAML and back, and quality of service to rosbag2's form and back."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
pytest.importorskip("rclpy", reason="needs the ROS 2 wheels or a distribution")

import yaml
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point32, PolygonStamped
from rclpy.duration import Duration
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from ros2cli.api.convert import Abridge, message_to_csv, message_to_dict, message_to_yaml
from ros2cli.api.fill import fill_message, parse_fields
from ros2cli.api.interfaces import interface_class, topic_class
from ros2cli.api.qos import from_dict, matching, to_dict
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool, Byte, ByteMultiArray, Header, Int8, String

# generated messages refuse the very largest float32 numbers
finite = st.floats(-(2.0**120), 2.0**120, width=32)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    frame=texts,
    stamp=st.integers(-(2**31), 2**31 - 1),
    points=st.lists(st.tuples(finite, finite, finite), max_size=4),
)
def test_nested_messages_survive_yaml(frame, stamp, points):
    message = PolygonStamped(header=Header(frame_id=frame, stamp=Time(sec=stamp)))
    message.polygon.points = [Point32(x=x, y=y, z=z) for x, y, z in points]
    again = PolygonStamped()
    assert fill_message(again, parse_fields(message_to_yaml(message))) == []
    assert again == message


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(texts, max_size=3), numbers=st.lists(finite, max_size=5), k=st.lists(finite, min_size=9, max_size=9)
)
def test_arrays_survive_yaml(names, numbers, k):
    joints, again = JointState(name=names, position=numbers), JointState()
    fill_message(again, yaml.safe_load(message_to_yaml(joints)))
    assert again == joints
    camera = CameraInfo(k=k, d=numbers)
    again = CameraInfo()
    fill_message(again, yaml.safe_load(message_to_yaml(camera)))
    assert (again.k.tolist(), again.d) == (camera.k.tolist(), camera.d)


def test_long_arrays_are_cut_or_summed_up():
    image = Image(data=bytes(range(200)))
    assert message_to_dict(image, Abridge(truncate_length=3))["data"] == [0, 1, 2, "..."]
    assert message_to_dict(image, Abridge(no_arr=True))["data"] == "<sequence type: uint8, length: 200>"
    assert message_to_dict(CameraInfo(), Abridge(no_arr=True))["k"] == "<array type: double[9]>"
    assert message_to_dict(String(data="abcdef"), Abridge(truncate_length=3)) == {"data": "abc..."}
    assert message_to_dict(String(data="abcdef"), Abridge(no_str=True)) == {"data": "<string length: <6>>"}


def test_csv():
    message = Header(stamp=Time(sec=1, nanosec=2), frame_id="map")
    assert message_to_csv(message) == "1,2,map"


def test_auto_and_now_are_left_to_setters():
    image, header = Image(), Header()
    setters = fill_message(image, {"header": "auto", "height": 3}, expand_stamps=True)
    setters += fill_message(header, {"stamp": "now"}, expand_stamps=True)
    for setter in setters:
        setter(Time(sec=7))
    assert (image.header.stamp.sec, header.stamp.sec, image.height, len(setters)) == (7, 7, 3, 2)


@pytest.mark.parametrize(
    ("message", "values", "sentence"),
    [
        (String(), {"dta": "x"}, "'String' has no field 'dta'; its fields are: data"),
        (Image(), {"header": {"stamp": {"sec": "x"}}}, "field 'sec'"),
        (Int8(), {"data": 300}, "field 'data'"),
        (Int8(), {"data": 1.5}, "a whole number is expected"),
        (Bool(), {"data": "maybe"}, "true or false"),
        (PolygonStamped(), {"polygon": {"points": [{"w": 1.0}]}}, "no field 'w'"),
        (PolygonStamped(), {"polygon": 3}, "expected to be a dictionary"),
        (CameraInfo(), {"k": [1.0]}, "field 'k'"),
        (Image(), {"header": "auto"}, "expected to be a dictionary"),
    ],
)
def test_what_does_not_fit_is_named(message, values, sentence):
    with pytest.raises(RuntimeError, match="Failed to populate field") as caught:
        fill_message(message, values)
    assert sentence in str(caught.value)


def test_bytes():
    message = Byte()
    fill_message(message, {"data": 5})
    assert message.data == b"\x05"
    many = ByteMultiArray()
    fill_message(many, {"data": [1, 2]})
    assert many.data == [b"\x01", b"\x02"]


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "hello"])
def test_fields_must_be_a_mapping(text):
    with pytest.raises(RuntimeError, match="passed value"):
        parse_fields(text)


def test_classes_by_name():
    assert interface_class("std_msgs/msg/String", "msg") is String
    assert topic_class("std_msgs/String") is String
    for name in ("std_msgs/msg/Nope", "nope_msgs/msg/X", "std_srvs/srv/Empty", "String"):
        with pytest.raises(RuntimeError, match="message type is invalid"):
            interface_class(name, "msg")


class Endpoint:
    """What rclpy tells of a publisher, as far as it is needed."""

    def __init__(self, reliability, durability):
        self.qos_profile = QoSProfile(depth=1, reliability=reliability, durability=durability)


RELIABLE, BEST_EFFORT = QoSReliabilityPolicy.RELIABLE, QoSReliabilityPolicy.BEST_EFFORT
LATCHED, VOLATILE = QoSDurabilityPolicy.TRANSIENT_LOCAL, QoSDurabilityPolicy.VOLATILE


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        ([(RELIABLE, LATCHED)], (RELIABLE, LATCHED)),
        ([(RELIABLE, LATCHED), (RELIABLE, VOLATILE)], (RELIABLE, VOLATILE)),
        ([(RELIABLE, VOLATILE), (BEST_EFFORT, VOLATILE)], (BEST_EFFORT, VOLATILE)),
    ],
)
def test_a_matching_profile_connects_to_every_publisher(offers, expected):
    profile = matching([Endpoint(*offer) for offer in offers], QoSProfile(depth=7), warn=False)
    assert (profile.reliability, profile.durability, profile.depth) == (*expected, 7)


def test_profiles_survive_metadata():
    profile = QoSProfile(depth=4, reliability=BEST_EFFORT, durability=LATCHED, lifespan=Duration(seconds=10))
    assert from_dict(to_dict(profile)) == profile
    unknown = {**to_dict(profile), "history": "unknown", "depth": 0}
    assert (from_dict(unknown).depth, from_dict(unknown).durability) == (10, LATCHED)
    old = {**to_dict(profile), "reliability": 2, "durability": 1, "history": 1, "liveliness": 1}  # rosbag2 before Jazzy
    assert (from_dict(old).reliability, from_dict(old).durability) == (BEST_EFFORT, LATCHED)
    with pytest.raises(RuntimeError, match="QoS reliability cannot be 'sometimes'"):
        from_dict({"reliability": "sometimes"})
