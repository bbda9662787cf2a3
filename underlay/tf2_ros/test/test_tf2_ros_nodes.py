# SPDX-License-Identifier: Apache-2.0
"""Buffer, listener and broadcasters over a real graph."""

from __future__ import annotations

import os

import domain_coordinator
import pytest
import tf2_ros
from geometry_msgs.msg import PointStamped, TransformStamped

TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def ros():
    """rclpy in a domain of its own, on this machine only."""
    import rclpy

    with domain_coordinator.domain_id() as domain:
        before = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE")
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        rclpy.init(domain_id=domain)
        yield rclpy
        rclpy.try_shutdown()
        if before is None:
            del os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"]
        else:
            os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = before


def transform(parent: str, child: str, x: float, stamp_s: int = 5) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec = stamp_s
    message.transform.translation.x = x
    return message


def test_transforms_cross_the_graph_and_late_listeners_get_the_static_ones(ros):
    from rclpy.duration import Duration
    from rclpy.time import Time

    sender, receiver = ros.create_node("sender"), ros.create_node("receiver")
    static = tf2_ros.StaticTransformBroadcaster(sender)
    static.sendTransform(transform("world", "table", 1.0))
    static.sendTransform([transform("table", "base", 2.0)])
    moving = tf2_ros.TransformBroadcaster(sender)

    buffer = tf2_ros.Buffer(node=receiver)
    listener = tf2_ros.TransformListener(buffer, receiver, spin_thread=True)
    found = buffer.lookup_transform("world", "base", Time(), timeout=Duration(seconds=TIMEOUT_S))
    assert found.transform.translation.x == 3.0
    assert (found.header.frame_id, found.child_frame_id) == ("world", "base")

    future = buffer.wait_for_transform_async("world", "tool", Time(seconds=5))
    timer = sender.create_timer(0.02, lambda: moving.sendTransform(transform("base", "tool", 4.0)))
    ros.spin_until_future_complete(sender, future, timeout_sec=TIMEOUT_S)
    assert future.result().transform.translation.x == 7.0
    assert buffer.get_latest_common_time("world", "tool").nanoseconds == 5_000_000_000
    sender.destroy_timer(timer)
    listener.unregister()
    sender.destroy_node()
    receiver.destroy_node()


def test_buffer_answers_without_waiting(ros):
    from rclpy.duration import Duration
    from rclpy.time import Time

    buffer = tf2_ros.Buffer(cache_time=Duration(seconds=3.0))
    for stamp_s in (1, 5):
        buffer.set_transform(transform("a", "b", float(stamp_s), stamp_s), "test")
    with pytest.raises(tf2_ros.ExtrapolationException, match="past"):
        buffer.lookup_transform("a", "b", Time(seconds=1))
    with pytest.raises(tf2_ros.TransformException, match="'c' does not exist"):
        buffer.lookup_transform("a", "c", Time(), timeout=Duration(seconds=0.01))
    possible, why = buffer.can_transform("a", "c", Time(), return_debug_tuple=True)
    assert not possible
    assert "'c' does not exist" in why
    assert buffer.can_transform("a", "b", Time(seconds=5).to_msg()) is True
    assert buffer.lookup_transform_full("a", Time(), "b", Time(seconds=5), "a").transform.translation.x == 5.0
    assert "parent: a" in buffer.all_frames_as_yaml()
    assert buffer.all_frames_as_string() == "Frame b exists with parent a.\n"


def test_a_malformed_transform_is_ignored(ros):
    buffer = tf2_ros.Buffer()
    bad = transform("a", "b", 1.0)
    bad.transform.rotation.w = 0.0
    buffer.set_transform(bad, "test")
    assert buffer.all_frames_as_yaml() == "[]"


def test_a_clock_that_jumps_back_clears_what_moves(ros):
    from rclpy.clock import ClockType
    from rclpy.parameter import Parameter
    from rclpy.time import Time

    node = ros.create_node("simulated", parameter_overrides=[Parameter("use_sim_time", value=True)])
    buffer = tf2_ros.Buffer(node=node)
    node.get_clock().set_ros_time_override(Time(seconds=10, clock_type=ClockType.ROS_TIME))
    buffer.set_transform(transform("a", "b", 1.0), "test")
    buffer.set_transform_static(transform("a", "c", 1.0), "test")
    node.get_clock().set_ros_time_override(Time(seconds=11, clock_type=ClockType.ROS_TIME))
    assert buffer.can_transform("a", "b", Time())
    node.get_clock().set_ros_time_override(Time(seconds=2, clock_type=ClockType.ROS_TIME))
    assert not buffer.can_transform("a", "b", Time())
    assert buffer.can_transform("a", "c", Time())
    node.destroy_node()


def test_registered_types_are_transformed_and_others_refused_by_name(ros):
    buffer = tf2_ros.Buffer()
    buffer.set_transform_static(transform("a", "b", 1.0), "test")
    point = PointStamped()
    point.header.frame_id = "b"
    with pytest.raises(tf2_ros.TypeException, match="PointStamped"):
        buffer.transform(point, "a")

    def shift(stamped: PointStamped, by: TransformStamped) -> PointStamped:
        moved = PointStamped(header=by.header)
        moved.point.x = stamped.point.x + by.transform.translation.x
        return moved

    tf2_ros.TransformRegistration().add(PointStamped, shift)
    assert buffer.transform(point, "a").point.x == 1.0


def test_what_is_missing_is_refused_by_name():
    with pytest.raises(AttributeError, match="BufferClient is not part of this stand-in"):
        _ = tf2_ros.BufferClient
    with pytest.raises(AttributeError, match="has no 'Bufer'"):
        _ = tf2_ros.Bufer
