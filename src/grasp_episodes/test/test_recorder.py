# SPDX-License-Identifier: Apache-2.0
"""Bags: readable by others and after a kill, checked, and refused in one sentence where they cannot be written."""

import itertools
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
import yaml
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from grasp_episodes.bag_reader import read_about, read_messages
from grasp_episodes.mcap_writer import EPISODE, EpisodeBag, Topic, shortfalls, written_counts
from grasp_episodes.recorder import (
    EpisodeRecorder,
    Item,
    RecordError,
    add_to_manifest,
    check_manifest,
    checksum,
    read_manifest,
)

NEVER = {"sec": 0, "nsec": 0}
QOS = {
    "history": "keep_last",
    "depth": 10,
    "reliability": "reliable",
    "durability": "volatile",
    "deadline": NEVER,
    "lifespan": NEVER,
    "liveliness": "automatic",
    "liveliness_lease_duration": NEVER,
    "avoid_ros_namespace_conventions": False,
}
STRING = Topic("/chatter", "std_msgs/msg/String", "string data\n", (QOS,))


def cdr(text):
    data = text.encode() + b"\0"
    return b"\0\1\0\0" + len(data).to_bytes(4, "little") + data


def record(folder, count=5, **about):
    recorder = EpisodeRecorder(folder, {"policy": "p", **about})
    for k in range(count):
        recorder.put(Item(STRING, 1000 + k, 900 + k, cdr(f"m{k}")))
    return recorder


def test_a_bag_is_read_by_others_and_says_what_it_ran_with(tmp_path):
    found, _ = record(tmp_path / "e1", checkpoint_sha256="abc").finish()
    assert found == {"/chatter": 5}
    with AnyReader([tmp_path / "e1"]) as reader:
        messages = [reader.deserialize(data, c.msgtype).data for c, _, data in reader.messages()]
    assert messages == [f"m{k}" for k in range(5)]
    with (tmp_path / "e1" / "e1_0.mcap").open("rb") as stream:
        (about,) = [m for m in make_reader(stream).iter_metadata() if m.name == EPISODE]
    assert about.metadata == {"policy": "p", "checkpoint_sha256": "abc"}
    info = yaml.safe_load((tmp_path / "e1" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert (info["message_count"], info["storage_identifier"]) == (5, "mcap")
    assert info["topics_with_message_count"][0]["topic_metadata"]["offered_qos_profiles"][0]["depth"] == 10


def test_messages_are_written_in_a_pipeline_that_encodes(tmp_path):
    recorder = EpisodeRecorder(tmp_path / "e", {})
    recorder.put(Item(STRING, 1, 1, b"raw", lambda data: cdr(data.decode() + "!")))
    recorder.finish()
    with AnyReader([tmp_path / "e"]) as reader:
        assert [reader.deserialize(data, c.msgtype).data for c, _, data in reader.messages()] == ["raw!"]


def test_messages_that_come_out_of_order_are_sorted_so_that_chunks_do_not_overlap(tmp_path, monkeypatch):
    monkeypatch.setattr("grasp_episodes.recorder.FLUSH_S", 0.05)
    now_ns = 10**18
    monkeypatch.setattr("grasp_episodes.recorder.time_ns", lambda: now_ns)
    other = Topic("/other", "std_msgs/msg/String", "string data\n", (QOS,))
    recorder = EpisodeRecorder(tmp_path / "e", {})
    for k in range(150):
        recorder.put(Item(STRING, now_ns, now_ns, cdr(f"m{k}")))
        recorder.put(Item(other, now_ns - 100_000_000, now_ns, cdr("late")))
        now_ns += 20_000_000
        threading.Event().wait(0.002)
    ahead_ns = now_ns + 10**10
    recorder.put(Item(STRING, ahead_ns, ahead_ns, cdr("a clock that is ahead")))
    found, _ = recorder.finish()
    assert found == {"/chatter": 151, "/other": 150}
    with (tmp_path / "e" / "e_0.mcap").open("rb") as stream:
        chunks = sorted(make_reader(stream).get_summary().chunk_indexes, key=lambda chunk: chunk.chunk_start_offset)
    assert len(chunks) > 3
    assert all(a.message_end_time <= b.message_start_time for a, b in itertools.pairwise(chunks))
    stamps = [m.received_ns for m in read_messages(tmp_path / "e" / "e_0.mcap")]
    assert stamps == sorted(stamps)


def test_what_was_flushed_before_a_kill_can_be_read(tmp_path):
    # A process of its own writes, flushes, writes more and is killed before it can finish.
    script = textwrap.dedent(
        """
        import os, sys, signal
        from pathlib import Path
        from grasp_episodes.mcap_writer import EpisodeBag, Topic
        topic = Topic("/chatter", "std_msgs/msg/String", "string data\\n")
        bag = EpisodeBag(Path(sys.argv[1]), {"policy": "p"})
        bag.declare(topic)
        for k in range(100):
            bag.write("/chatter", k, k, b"\\0\\1\\0\\0\\2\\0\\0\\0a\\0")
        bag.flush()
        for k in range(100, 150):
            bag.write("/chatter", k, k, b"\\0\\1\\0\\0\\2\\0\\0\\0a\\0")
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "bag")], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    path = tmp_path / "bag" / "bag_0.mcap"
    with pytest.raises(Exception, match=r"."):
        written_counts(path)
    assert [m.message.data for m in read_messages(path)] == ["a"] * 100
    assert read_about(path) == {"policy": "p"}
    info = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert info["message_count"] == 100


def test_a_folder_that_cannot_be_written_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordError, match="cannot be written"):
        EpisodeRecorder(tmp_path / "file" / "episode", {})
    record(tmp_path / "twice").finish()
    with pytest.raises(RecordError, match="File exists"):
        EpisodeRecorder(tmp_path / "twice", {})


def test_a_full_disk_is_one_clear_error_and_earlier_episodes_stay(tmp_path):
    record(tmp_path / "first").finish()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        recorder = EpisodeRecorder(tmp_path / "second", {})
        # The kernel refuses to let any file of this process grow past 64 kB, as a full disk would.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
        recorder.put(Item(STRING, 1, 1, os.urandom(1 << 22)))
        with pytest.raises(RecordError, match=r"second_0\.mcap cannot be written: File too large"):
            recorder.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert recorder.problem
    assert written_counts(tmp_path / "first" / "first_0.mcap") == {"/chatter": 5}
    recorder.put(Item(STRING, 2, 2, b"more"))


def test_a_disk_with_little_room_is_refused_before_the_episode_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("grasp_episodes.recorder.LEAST_FREE_BYTES", 1 << 60)
    with pytest.raises(RecordError, match="MiB of room left"):
        EpisodeRecorder(tmp_path / "e", {})
    assert not (tmp_path / "e").exists()


def test_the_manifest_finds_what_is_missing(tmp_path):
    for name in ("e1", "e2"):
        found, _ = record(tmp_path / name).finish()
        add_to_manifest(tmp_path, {"episode_id": name, "messages": found})
    assert [entry["episode_id"] for entry in read_manifest(tmp_path)] == ["e1", "e2"]
    assert check_manifest(tmp_path) == []
    (tmp_path / "e1" / "e1_0.mcap").unlink()
    add_to_manifest(tmp_path, {"episode_id": "e2", "messages": {"/chatter": 9}})
    problems = check_manifest(tmp_path)
    assert len(problems) == 2
    assert "e1" in problems[0]
    assert "5 of 9 messages" in problems[1]


def test_shortfalls_are_told_by_topic():
    assert shortfalls({"/a": 2, "/b": 1}, {"/a": 2}) == ["/b: 0 of 1 messages"]
    assert shortfalls({"/a": 2}, {"/a": 3}) == []


def test_checksums_of_files_and_folders(tmp_path):
    assert checksum(None) == ""
    (tmp_path / "weights").write_bytes(b"abc")
    assert checksum(tmp_path / "weights") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    before = checksum(tmp_path)
    (tmp_path / "card").write_text("x")
    assert checksum(tmp_path) != before


def test_a_bag_refuses_topics_that_were_not_declared(tmp_path):
    bag = EpisodeBag(Path(tmp_path / "b"), {})
    with pytest.raises(KeyError):
        bag.write("/unknown", 1, 1, b"")
    bag.close()
    bag.close()
