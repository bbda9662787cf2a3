# SPDX-License-Identifier: Apache-2.0
"""``ros2 bag`` from recording to playback, and what a killed recorder leaves behind."""

import resource
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ros2cli.api.bag_reader import Bag

pytestmark = pytest.mark.graph
LIMIT_S = 30


def wait_for(predicate, what):
    """Poll a file system fact that no event announces; fails after a limit."""
    deadline = time.monotonic() + LIMIT_S
    while not predicate():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def counts(folder):
    return {topic.name: topic.count for topic in Bag(folder).topics}


def recorded(folder, **least):
    """Whether the bag on disk already holds at least so many messages of each topic."""
    if not (folder / "metadata.yaml").exists():
        return False
    found = counts(folder)
    return all(found.get(f"/{name}", 0) >= number for name, number in least.items())


@pytest.fixture(scope="module")
def bag(talker, session_ros2, tmp_path_factory):
    """A bag of the talker's topics, ended by Ctrl-C."""
    folder = tmp_path_factory.mktemp("bags") / "whole"
    with session_ros2.running("bag", "record", "-a", "-o", folder, "--compression", "zstd") as process:
        wait_for(lambda: recorded(folder, chatter=10, image=10, latched=1), "messages in the bag")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, output
    assert "Subscribed to topic '/chatter'" in output
    return folder


def test_record_is_read_by_rosbags_with_matching_hashes(bag):
    from rosbags.highlevel import AnyReader

    with AnyReader([bag]) as reader:  # raises where a definition differs from the type hash on the wire
        assert {"/chatter", "/image", "/latched"} <= set(reader.topics)
        digests = {connection.topic: connection.digest for connection in reader.connections}
        assert digests["/image"].startswith("RIHS01_")
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            if connection.topic == "/image":
                assert (message.header.frame_id, message.data.size) == ("camera", 57600)


def test_record_keeps_order_and_offers(bag):
    whole = Bag(bag)
    texts = [data[8:-1].decode() for _, _, data in whole.messages(["/chatter"])]
    numbers = [int(text.rpartition(" ")[2].rstrip("\0")) for text in texts]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    offers = {topic.name: topic.qos_profiles[0] for topic in whole.topics}
    assert offers["/image"]["reliability"] == "best_effort"
    assert offers["/latched"]["durability"] == "transient_local"


def test_info(ros2, bag):
    result = ros2("bag", "info", bag)
    assert result.returncode == 0
    assert "Storage id:        mcap\n" in result.stdout
    total = counts(bag)
    assert f"Messages:          {sum(total.values())}\n" in result.stdout
    assert (
        f"Topic: /chatter | Type: std_msgs/msg/String | Count: {total['/chatter']} | Serialization Format: cdr"
        in result.stdout
    )


def test_play_offers_what_was_recorded(ros2, bag):
    with ros2.running(
        "topic",
        "echo",
        "/again",
        "sensor_msgs/msg/CameraInfo",
        "--once",
        "--qos-durability",
        "transient_local",
        "--qos-reliability",
        "reliable",
        "--spin-time",
        "0.2",
    ) as echo:
        words = ("--topics", "/latched", "/chatter", "--remap", "/latched:=/again", "/chatter:=/chatter_again")
        with ros2.running("bag", "play", bag, *words, "--loop", "--rate", "4"):
            text, _ = echo.communicate(timeout=LIMIT_S)
            assert "height: 120" in text
            again = ros2("topic", "echo", "/chatter_again", "--once")
            assert again.stdout.startswith("data: hello ")


def test_play_publishes_the_bags_clock(ros2, bag):
    start = Bag(bag).start_ns
    with ros2.running("bag", "play", bag, "--clock", "20", "--loop", "--topics", "/chatter", "-m", "/chatter:=/c2"):
        text = ros2("topic", "echo", "/clock", "--once", "--field", "clock.sec").stdout
    assert abs(int(text.split()[0]) - start // 10**9) < 60


def test_play_ends_with_the_bag(ros2, bag):
    duration = (Bag(bag).end_ns - Bag(bag).start_ns) * 1e-9
    words = ("--topics", "/chatter", "--remap", "/chatter:=/c3")
    assert ros2("bag", "play", bag, *words, "--start-offset", f"{duration / 2:.3f}", "--rate", "3").returncode == 0
    assert ros2("bag", "play", bag, *words, "--playback-duration", "0.1").returncode == 0


def test_a_killed_recorder_loses_only_its_last_chunk(ros2, talker, tmp_path):
    folder = tmp_path / "killed"
    with ros2.running("bag", "record", "/chatter", "/image", "-o", folder) as process:
        wait_for(lambda: recorded(folder, chatter=20, image=20), "messages in the bag")
        before = counts(folder)
        process.kill()
        process.wait()
    bag = Bag(folder)
    assert not bag.complete
    after = counts(folder)
    assert all(after[name] >= number for name, number in before.items())
    assert sum(1 for _ in bag.messages()) == sum(after.values())
    info = ros2("bag", "info", folder)
    assert (info.returncode, "was cut off" in info.stderr) == (0, True)
    play = ros2("bag", "play", folder, "--rate", "10", "--topics", "/chatter", "-m", "/chatter:=/c4")
    assert play.returncode == 0


def test_a_full_disk_ends_the_recording_with_a_sentence(ros2, talker, tmp_path):
    folder = tmp_path / "full"
    limit = 1_200_000

    def limit_file_size():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = ros2.start("bag", "record", "/image", "-o", folder, preexec_fn=limit_file_size)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert "Recording stopped: " in errors
    assert "Traceback" not in errors
    bag = Bag(folder)
    assert not bag.complete
    assert bag.message_count > 10
    assert sum(1 for _ in bag.messages()) == bag.message_count


def test_record_finds_topics_that_come_later(ros2, talker, tmp_path):
    folder = tmp_path / "later"
    with ros2.running("bag", "record", "--regex", "^/late", "-o", folder) as process:
        ros2.read_until(process, "Listening for topics")
        with ros2.running("topic", "pub", "-r", "20", "/late_topic", "std_msgs/msg/String", "data: here"):
            wait_for(lambda: recorded(folder, late_topic=3), "the late topic in the bag")
            process.terminate()  # SIGTERM ends a recording as well as Ctrl-C does
            process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    bag = Bag(folder)
    assert bag.complete
    assert [topic.name for topic in bag.topics] == ["/late_topic"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("record",), "Need to specify at least one option"),
        (("record", "-a", "/x"), "do not name topics"),
        (("record", "-e", "(", "-o", "new"), "is not a regular expression"),
        (("record", "-a", "-o", "."), "already exists"),
        (("info", "nothing"), "Bag path 'nothing' does not exist"),
        (("play", "nothing"), "Bag path 'nothing' does not exist"),
        (("play", "nothing", "-m", "a=b"), "is not a remapping"),
    ],
)
def test_refusals(ros2, tmp_path, words, sentence):
    result = ros2("bag", *words, cwd=tmp_path)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_play_refuses_topics_that_are_not_there(ros2, bag):
    result = ros2("bag", "play", bag, "--topics", "/nope")
    assert (result.returncode, "has no topics /nope" in result.stderr) == (1, True)


def test_record_keeps_listening_when_a_publisher_offers_less(ros2, tmp_path):
    folder = tmp_path / "mixed"

    def texts():
        return {data[8:9] for _, _, data in Bag(folder).messages()}

    with ros2.running("bag", "record", "/mixed", "-o", folder) as recorder:
        pub = ("topic", "pub", "-r", "20", "/mixed", "std_msgs/msg/String")
        with ros2.running(*pub, "data: a"):
            wait_for(lambda: recorded(folder, mixed=2), "reliable messages in the bag")
            with ros2.running(*pub, "data: b", "--qos-reliability", "best_effort"):
                wait_for(lambda: texts() == {b"a", b"b"}, "both publishers' messages in the bag")
        recorder.send_signal(signal.SIGINT)
        recorder.communicate(timeout=LIMIT_S)
    assert recorder.returncode == 0
    assert Bag(folder).complete
