# SPDX-License-Identifier: Apache-2.0
"""Bags on disk, without ROS: what the writer writes is read by rosbags, by mcap's decoder and by our reader."""

import struct
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ros2cli.api.bag_reader import Bag
from ros2cli.api.bag_writer import BagWriter
from ros2cli.bag import describe

DEFINITION = "Inner inner\nuint8[] data\n" + "=" * 80 + "\nMSG: demo/Inner\nint32 number\n"
QOS = {
    "history": "unknown",
    "depth": 0,
    "reliability": "best_effort",
    "durability": "transient_local",
    "deadline": {"sec": 9223372036, "nsec": 854775807},
    "lifespan": {"sec": 10, "nsec": 0},
    "liveliness": "automatic",
    "liveliness_lease_duration": {"sec": 9223372036, "nsec": 854775807},
    "avoid_ros_namespace_conventions": False,
}
SECOND = 10**9


def cdr(number, size):
    """demo/msg/Outer as little-endian CDR."""
    return b"\x00\x01\x00\x00" + struct.pack("<iI", number, size) + bytes([number % 256]) * size


def write_bag(folder, count, *, compression="none", size=100, close=True):
    writer = BagWriter(folder, compression=compression, ros_distro="jazzy")
    writer.add_topic("/outer", "demo/msg/Outer", DEFINITION, qos_profiles=[QOS])
    writer.add_topic("/other", "demo/msg/Outer", DEFINITION)
    for number in range(count):
        topic = "/outer" if number % 3 else "/other"
        writer.write(topic, (100 + number) * SECOND, (100 + number) * SECOND - 5, cdr(number, size))
    if close:
        writer.close()
    return writer


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_rosbags_and_mcap_decode_what_was_written(tmp_path, compression):
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory
    from rosbags.highlevel import AnyReader

    writer = write_bag(tmp_path / "bag", 30, compression=compression)
    with AnyReader([tmp_path / "bag"]) as reader:
        decoded = [reader.deserialize(data, connection.msgtype) for connection, _, data in reader.messages()]
        profiles = reader.topics["/outer"].connections[0].ext.offered_qos_profiles
    assert [message.inner.number for message in decoded] == list(range(30))
    assert all((message.data == message.inner.number).all() and len(message.data) == 100 for message in decoded)
    assert (profiles[0].reliability.name, profiles[0].durability.name) == ("BEST_EFFORT", "TRANSIENT_LOCAL")
    with open(writer.path, "rb") as stream:
        reader = make_reader(stream, validate_crcs=True, decoder_factories=[DecoderFactory()])
        assert reader.get_header().profile == "ros2"
        rows = [(item.channel.topic, item.message, item.decoded_message) for item in reader.iter_decoded_messages()]
        assert [message.inner.number for _, _, message in rows] == list(range(30))
        assert {raw.log_time - raw.publish_time for _, raw, _ in rows} == {5}
        assert any(record.name == "rosbag2" for record in reader.iter_metadata())


def test_metadata_counts(tmp_path):
    write_bag(tmp_path / "bag", 10)
    content = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert (content["version"], content["storage_identifier"], content["message_count"]) == (9, "mcap", 10)
    assert content["duration"]["nanoseconds"] == 9 * SECOND
    counts = {item["topic_metadata"]["name"]: item["message_count"] for item in content["topics_with_message_count"]}
    assert counts == {"/outer": 6, "/other": 4}


def test_reader_of_a_whole_bag(tmp_path):
    write_bag(tmp_path / "bag", 10)
    for path in (tmp_path / "bag", tmp_path / "bag/bag_0.mcap"):
        bag = Bag(path)
        assert bag.complete
        assert (bag.message_count, bag.start_ns, bag.end_ns) == (10, 100 * SECOND, 109 * SECOND)
        assert {topic.name: topic.count for topic in bag.topics} == {"/outer": 6, "/other": 4}
        assert next(topic for topic in bag.topics if topic.name == "/outer").qos_profiles == [QOS]
        assert [stamp // SECOND for _, stamp, _ in bag.messages(["/other"], from_ns=103 * SECOND)] == [103, 106, 109]
        assert [data for *_, data in bag.messages()] == [cdr(number, 100) for number in range(10)]


def test_reader_of_a_db3_bag(tmp_path):
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / "old", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=store)
        message = store.types["std_msgs/msg/String"](data="hello")
        data = bytes(store.serialize_cdr(message, "std_msgs/msg/String"))
        writer.write(connection, 5 * SECOND, data)
    bag = Bag(tmp_path / "old")
    assert (bag.storage, bag.message_count, bag.start_ns) == ("sqlite3", 1, 5 * SECOND)
    assert list(bag.messages()) == [("/chatter", 5 * SECOND, data)]


def test_empty_bag(tmp_path):
    BagWriter(tmp_path / "bag").close()
    bag = Bag(tmp_path / "bag")
    assert (bag.message_count, list(bag.messages())) == (0, [])
    assert "Messages:          0" in describe(bag)


def test_a_flushed_bag_survives_without_its_end(tmp_path):
    writer = write_bag(tmp_path / "bag", 10, close=False)
    writer.flush()
    writer.write("/outer", 200 * SECOND, 200 * SECOND, cdr(200, 100))  # in the chunk that is lost
    bag = Bag(tmp_path / "bag")
    assert not bag.complete
    assert bag.message_count == 10
    assert {topic.name: topic.count for topic in bag.topics} == {"/outer": 6, "/other": 4}
    assert next(topic for topic in bag.topics if topic.name == "/outer").qos_profiles == [QOS]
    assert [data for *_, data in bag.messages()] == [cdr(number, 100) for number in range(10)]
    assert "Count: 6" in describe(bag)
    writer.close()
    assert Bag(tmp_path / "bag").message_count == 11


@pytest.fixture(scope="module")
def long_file(tmp_path_factory):
    """An MCAP file of several chunks, its messages 100 kB each."""
    folder = tmp_path_factory.mktemp("long")
    return write_bag(folder / "bag", 40, compression="zstd", size=100_000).path.read_bytes()


@settings(max_examples=30, deadline=None)
@given(part=st.floats(0.0, 0.999))
def test_a_file_cut_anywhere_gives_a_prefix_of_its_messages(long_file, tmp_path_factory, part):
    path = tmp_path_factory.mktemp("cut") / "cut.mcap"
    path.write_bytes(long_file[: int(part * len(long_file))])
    bag = Bag(path)
    assert not bag.complete
    found = [data for *_, data in bag.messages()]
    assert len(found) == bag.message_count
    assert found == [cdr(number, 100_000) for number in range(len(found))]


def test_writer_refuses_an_existing_folder(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(FileExistsError):
        BagWriter(tmp_path / "bag")


def test_reader_names_what_it_cannot_read(tmp_path):
    with pytest.raises(RuntimeError, match="does not exist"):
        Bag(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuntimeError, match=r"no \.mcap or \.db3"):
        Bag(tmp_path / "empty")
    write_bag(tmp_path / "bag", 3).path.unlink()
    with pytest.raises(RuntimeError, match="lacks its files"):
        Bag(tmp_path / "bag")
