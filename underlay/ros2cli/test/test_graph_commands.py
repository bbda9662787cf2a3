# SPDX-License-Identifier: Apache-2.0
"""Commands against a running node in another process."""

import re
import signal

import pytest
import yaml

pytestmark = [pytest.mark.graph, pytest.mark.usefixtures("talker")]


def test_lists(ros2):
    assert ros2("node", "list").stdout.splitlines() == ["/lab/talker"]
    topics = ros2("topic", "list", "-t").stdout.splitlines()
    assert "/chatter [std_msgs/msg/String]" in topics
    assert "/image [sensor_msgs/msg/Image]" in topics
    assert "/switch [std_srvs/srv/SetBool]" in ros2("service", "list", "-t").stdout.splitlines()
    verbose = ros2("topic", "list", "-v").stdout
    assert " * /chatter [std_msgs/msg/String] 1 publisher\n" in verbose
    assert int(ros2("topic", "list", "-c", "--spin-time", "1").stdout) >= 5


def test_node_info(ros2):
    text = ros2("node", "info", "/lab/talker").stdout
    assert text.startswith("/lab/talker\n  Subscribers:\n")
    assert "\n    /chatter: std_msgs/msg/String\n" in text
    assert "\n    /switch: std_srvs/srv/SetBool\n" in text
    missing = ros2("node", "info", "/nope")
    assert (missing.returncode, missing.stderr) == (1, "Unable to find node '/nope'\n")


def test_topic_info_and_type(ros2):
    assert ros2("topic", "type", "/chatter").stdout == "std_msgs/msg/String\n"
    assert ros2("service", "type", "/switch").stdout == "std_srvs/srv/SetBool\n"
    text = ros2("topic", "info", "-v", "/latched").stdout
    assert "Type: sensor_msgs/msg/CameraInfo\n" in text
    assert "Publisher count: 1\n" in text
    assert "Durability: TRANSIENT_LOCAL" in text
    assert "Topic type hash: RIHS01_" in text


@pytest.mark.parametrize(
    "words", [("topic", "type", "/nope"), ("topic", "info", "/nope"), ("service", "type", "/nope")]
)
def test_unknown_names(ros2, words):
    assert ros2(*words, "--spin-time", "0.5").returncode == 1


def test_echo_once(ros2):
    result = ros2("topic", "echo", "/chatter", "--once")
    assert result.returncode == 0
    assert re.fullmatch(r"data: hello \d+\n---\n", result.stdout)


def test_echo_follows_the_publishers_quality_of_service(ros2):
    latched = ros2("topic", "echo", "/latched", "--once")  # was published before anyone subscribed
    assert yaml.safe_load(latched.stdout.split("---")[0])["k"] == [float(i) for i in range(9)]
    image = yaml.safe_load(ros2("topic", "echo", "/image", "--once").stdout.split("---")[0])
    assert image["data"] == [0] * 128 + ["..."]
    assert image["header"]["frame_id"] == "camera"


def test_echo_of_parts(ros2):
    assert ros2("topic", "echo", "/image", "--once", "--field", "header.frame_id").stdout == "camera\n---\n"
    short = yaml.safe_load(ros2("topic", "echo", "/image", "--once", "--no-arr").stdout.split("---")[0])
    assert short["data"] == "<sequence type: uint8, length: 57600>"
    assert re.fullmatch(r"hello \d+\n", ros2("topic", "echo", "/chatter", "--once", "--csv").stdout)
    wrong = ros2("topic", "echo", "/chatter", "--once", "--field", "date")
    assert wrong.returncode == 1
    assert "Invalid field 'date'" in wrong.stderr


def test_echo_ends_by_itself_without_messages(ros2):
    none = ros2("topic", "echo", "/nope", "--once", "--spin-time", "0.5")
    assert (none.returncode, none.stderr) == (1, "Could not determine the type for the passed topic\n")
    timeout = ros2("topic", "echo", "/nope", "std_msgs/msg/String", "--timeout", "0.5", "--spin-time", "0.2")
    assert (timeout.returncode, timeout.stdout) == (0, "")
    # asked for more than the publisher offers, nothing can come
    strict = ("--qos-reliability", "reliable", "--timeout", "1")
    assert "header" not in ros2("topic", "echo", "/image", *strict).stdout


def test_echo_is_interrupted_with_upstreams_status(ros2):
    status, output = ros2.until("data: hello", "topic", "echo", "/chatter")
    assert status == signal.SIGINT
    assert "Traceback" not in output


def test_hz_and_bw(ros2):
    _, output = ros2.until("window:", "topic", "hz", "/chatter", "--window", "50")
    rate = float(re.search(r"average rate: ([\d.]+)", output).group(1))
    assert rate > 1.0  # that it is measured; how fast this machine is does not matter
    _, output = ros2.until("Message size", "topic", "bw", "/image")
    assert "Subscribed to [/image]" in output
    assert re.search(r"mean: 57\.\d+ KB min: 57\.\d+ KB max: 57\.\d+ KB|mean: 0\.06 MB", output)


def test_pub_reaches_a_subscriber(ros2):
    with ros2.running(
        "topic", "echo", "/pose", "geometry_msgs/msg/PoseStamped", "--once", "--spin-time", "0.2"
    ) as echo:
        values = "{header: auto, pose: {position: {x: 1, z: 2.5}}}"
        sent = ros2("topic", "pub", "--once", "/pose", "geometry_msgs/msg/PoseStamped", values)
        text, _ = echo.communicate(timeout=30)
    assert sent.returncode == 0
    assert "publishing #1: geometry_msgs.msg.PoseStamped(" in sent.stdout
    got = yaml.safe_load(text.split("---")[0])
    assert (got["pose"]["position"]["x"], got["pose"]["position"]["z"]) == (1.0, 2.5)
    assert got["header"]["stamp"]["sec"] > 1_600_000_000


def test_pub_counts_and_refuses(ros2):
    three = ros2("topic", "pub", "-t", "3", "-r", "50", "-w", "0", "/other", "std_msgs/String", "data: x")
    assert three.stdout.count("publishing #") == 3
    alone = ros2("topic", "pub", "-1", "--max-wait-time-secs", "0.3", "/nobody", "std_msgs/msg/String")
    assert alone.returncode == 1
    assert "Timed out waiting for subscribers: Expected 1" in alone.stderr
    wrong = ros2("topic", "pub", "-1", "/other", "std_msgs/msg/String", "dta: x")
    assert (wrong.returncode, "no field 'dta'" in wrong.stderr) == (1, True)
    assert "type is invalid" in ros2("topic", "pub", "-1", "/other", "std_msgs/msg/Nope").stderr


def test_service_call(ros2):
    result = ros2("service", "call", "/switch", "std_srvs/srv/SetBool", "{data: true}")
    assert result.returncode == 0
    assert "requester: making request: std_srvs.srv.SetBool_Request(data=True)\n" in result.stdout
    assert "response:\nstd_srvs.srv.SetBool_Response(success=True, message='on')\n" in result.stdout
    wrong = ros2("service", "call", "/switch", "std_srvs/srv/SetBool", "{data: 7}")
    assert (wrong.returncode, "field 'data'" in wrong.stderr) == (1, True)
    assert "service type is invalid" in ros2("service", "call", "/switch", "std_srvs/srv/Nope").stderr


def test_parameters(ros2):
    listed = ros2("param", "list", "/lab/talker").stdout.split()
    assert listed == sorted(listed)
    assert {"speed", "limits.low", "use_sim_time"} <= set(listed)
    assert ros2("param", "set", "/lab/talker", "speed", "2.5").stdout == "Set parameter successful\n"
    assert ros2("param", "get", "/lab/talker", "speed").stdout == "Double value is: 2.5\n"
    assert ros2("param", "get", "--hide-type", "lab/talker", "limits.low").stdout == "[1, 2, 3]\n"
    dumped = yaml.safe_load(ros2("param", "dump", "/lab/talker").stdout)
    assert dumped["/lab/talker"]["ros__parameters"]["limits"] == {"low": [1, 2, 3]}
    refused = ros2("param", "set", "/lab/talker", "speed", "fast")
    assert refused.stderr.startswith("Setting parameter failed: ")
    missing = ros2("param", "get", "/nope", "speed", "--timeout", "0.5")
    assert (missing.returncode, missing.stderr) == (1, "Node not found\n")


def test_actions(ros2, has_action):
    if not has_action:
        pytest.skip("control_msgs is not built")
    kind = "control_msgs/action/GripperCommand"
    assert ros2("action", "list", "-t").stdout == f"/grip [{kind}]\n"
    assert "Action servers: 1\n    /lab/talker\n" in ros2("action", "info", "/grip").stdout
    goal = "{command: {position: 0.03, max_effort: 5.0}}"
    result = ros2("action", "send_goal", "--feedback", "/grip", kind, goal)
    assert result.returncode == 0
    # The first may be sent before the client is seen to listen.
    assert 1 <= result.stdout.count("Feedback:") <= 3
    assert "reached_goal: true" in result.stdout
    assert result.stdout.endswith("Goal finished with status: SUCCEEDED\n")
    wrong = ros2("action", "send_goal", "/grip", kind, "{comand: {}}")
    assert (wrong.returncode, "no field 'comand'" in wrong.stderr) == (1, True)


def test_an_interrupted_goal_is_canceled(ros2, has_action):
    if not has_action:
        pytest.skip("control_msgs is not built")
    words = ("action", "send_goal", "/grip", "control_msgs/action/GripperCommand", "{command: {max_effort: -1.0}}")
    status, output = ros2.until("Goal accepted", *words)
    assert status == signal.SIGINT
    assert "Canceling goal...\nGoal canceled.\n" in output
