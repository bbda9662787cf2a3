# SPDX-License-Identifier: Apache-2.0
"""The RViz configurations: made from the cells' files, and every topic in them is published by the launched graph."""

import importlib.util
import os

import pytest
import yaml
from graph import ROOT, Launch, wait_until

from grasp_core.cell_config import CellConfig
from grasp_core.resources import names

CELLS = names("config", "cells")
# Type of the topic that a display listens to.
TYPES = {
    "rviz_default_plugins/RobotModel": "std_msgs/msg/String",
    "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
    "rviz_default_plugins/PointCloud2": "sensor_msgs/msg/PointCloud2",
    "rviz_default_plugins/Marker": "visualization_msgs/msg/Marker",
    "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
}
WITHOUT_TOPIC = {"rviz_default_plugins/Grid", "rviz_default_plugins/TF"}


def maker():
    spec = importlib.util.spec_from_file_location("make_rviz_config", ROOT / "scripts" / "make_rviz_config.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listened(displays, without=()):
    """Topic to type of all displays, groups included; groups that are named in ``without`` are left out."""
    found = {}
    for display in displays:
        kind = display["Class"]
        if kind == "rviz_common/Group":
            found |= {} if display["Name"] in without else listened(display["Displays"])
        elif kind == "rviz_default_plugins/DepthCloud":
            for key in ("Depth Map Topic", "Color Image Topic"):
                if display[key]:
                    found[display[key]] = "sensor_msgs/msg/Image"
        elif kind not in WITHOUT_TOPIC:
            topic = display.get("Topic") or display["Description Topic"]
            found[topic["Value"]] = TYPES[kind]
    return found


def displays_of(cell):
    made = yaml.safe_load((ROOT / "config" / "rviz" / f"{cell}.rviz").read_text())
    return made["Visualization Manager"]["Displays"]


@pytest.mark.parametrize("cell", CELLS)
def test_the_file_is_what_the_script_makes_of_the_cell(cell):
    base = yaml.safe_load((ROOT / "config" / "rviz" / "cell.rviz").read_text())
    config = CellConfig.from_yaml(ROOT / "config" / "cells" / f"{cell}.yaml")
    assert (ROOT / "config" / "rviz" / f"{cell}.rviz").read_text() == maker().text(config, base), (
        "run scripts/make_rviz_config.py"
    )


@pytest.mark.parametrize("cell", CELLS)
def test_robot_cameras_surface_and_grasps_are_shown(cell):
    topics = listened(displays_of(cell))
    config = CellConfig.from_yaml(ROOT / "config" / "cells" / f"{cell}.yaml")
    assert {"/robot_description", "/fusion_node/cloud", "/fusion_node/mesh", "/policy/markers"} <= set(topics)
    for name, camera in config.cameras.items():
        assert (f"/{name}/color/image_raw" in topics) == camera.rgb
        assert (f"/{name}/depth/image_rect_raw" in topics) == camera.depth


@pytest.mark.graph
@pytest.mark.timeout(240)
def test_every_topic_is_published_with_that_type_by_the_launched_graph():
    rclpy = pytest.importorskip("rclpy")
    pytest.importorskip("grasp_interfaces.action", reason="grasp_interfaces is not built; run through ./ws test")
    from domain_coordinator import domain_id
    from rclpy.action import ActionClient

    from grasp_core.ros_running import leave_graph
    from grasp_interfaces.action import Infer

    wanted = listened(displays_of("ur5"), without=("Maps of push_grasp",))
    assert "/policy/maps/height_m" in wanted
    with domain_id() as domain:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        command = ("ros2", "launch", "grasp_bringup", "sim_ur5.launch.py", "headless_mode:=true", "episodes:=0")
        arguments = ("policy:=highest_point", "fusion:=true", "record:=false", "viewer:=false", "objects:=2")
        with Launch(environment, *command, *arguments) as launch:
            context = rclpy.Context()
            rclpy.init(context=context, domain_id=domain)
            node = rclpy.create_node("test_rviz", context=context)
            executor = rclpy.executors.SingleThreadedExecutor(context=context)
            try:
                # The policy shows maps from its first decision on.
                client = ActionClient(node, Infer, "/infer")
                assert client.wait_for_server(90.0), launch.text()
                sent = client.send_goal_async(Infer.Goal(reset=True))
                executor.add_node(node)
                executor.spin_until_future_complete(sent, 60.0)
                answer = sent.result().get_result_async()
                executor.spin_until_future_complete(answer, 60.0)
                assert answer.result().result.success, answer.result().result.message

                def missing():
                    return {t: k for t, k in wanted.items() if not published(t, k)}

                def published(topic, kind):
                    return any(info.topic_type == kind for info in node.get_publishers_info_by_topic(topic))

                assert wait_until(lambda: not missing(), 30.0), f"nobody publishes {missing()}"
            finally:
                leave_graph(node)
                rclpy.shutdown(context=context)
