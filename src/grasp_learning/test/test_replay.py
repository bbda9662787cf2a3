# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_learning.episode_file import ReplayError, read_fields, write_episode
from grasp_learning.replay import EpisodeId, ReplayReader, ReplayStore

SCHEMA = {"image": ((4, 5), "uint16"), "value": ((), "float32")}
WRITER = """
import sys
from pathlib import Path
import numpy as np
from grasp_learning.replay import EpisodeId, ReplayStore
store = ReplayStore(Path(sys.argv[1]), {"image": ((400, 500), "uint16")})
rng = np.random.default_rng(0)
for index in range(10_000):
    store.write(EpisodeId(0, index), {"image": rng.integers(0, 9999, (20, 400, 500), np.uint16)}, {"tries": 20})
    print(index, flush=True)
"""


def episode(length: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(0, 60_000, (length, 4, 5), dtype=np.uint16),
        "value": rng.normal(size=length).astype(np.float32),
    }


@settings(max_examples=15, deadline=None)
@given(length=st.integers(0, 30), seed=st.integers(0, 100))
def test_what_is_written_is_read(tmp_path_factory, length, seed):
    path = tmp_path_factory.mktemp("episode") / "e.zip"
    fields = episode(length, seed)
    write_episode(path, fields, {"tries": length, "rate": np.float32(0.5)}, SCHEMA)
    found = read_fields(path, SCHEMA, SCHEMA)
    for name, values in fields.items():
        assert found[name].dtype == values.dtype
        assert np.array_equal(found[name], values)


def test_the_file_is_zarr_for_everyone(tmp_path):
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "e.zip"
    write_episode(path, episode(3), {"tries": 3}, SCHEMA)
    group = zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r")
    assert group.attrs["tries"] == 3
    assert group["image"].shape == (3, 4, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((2, 4, 5), np.int32)}, r"'image' is int32 \[2, 4, 5\]; expected uint16"),
        ({"image": np.zeros((2, 5, 4), np.uint16)}, r"'image' is uint16 \[2, 5, 4\]"),
        ({"value": np.zeros(3, np.float32)}, "different lengths"),
        ({"speed": np.zeros(2, np.float32)}, "'speed' is not in the schema"),
        ({"value": None}, "'value' is missing"),
    ],
)
def test_wrong_fields_are_refused_by_name(tmp_path, changes, message):
    fields = {name: v for name, v in {**episode(2), **changes}.items() if v is not None}
    store = ReplayStore(tmp_path, SCHEMA)
    with pytest.raises(ReplayError, match=message):
        store.write(EpisodeId(0, 0), fields, {})
    assert len(store.reader()) == 0


@pytest.mark.parametrize(
    "other",
    [
        {"image": ((4, 5), "uint8"), "value": ((), "float32")},
        {"image": ((4, 5), "uint16")},
        {**SCHEMA, "more": ((), "bool")},
    ],
)
def test_a_store_of_another_schema_is_refused(tmp_path, other):
    ReplayStore(tmp_path, SCHEMA)
    ReplayStore(tmp_path, SCHEMA)
    with pytest.raises(ReplayError, match=r"field .(image|value|more)."):
        ReplayStore(tmp_path, other)
    with pytest.raises(ReplayError, match=r"field .(image|value|more)."):
        ReplayReader(tmp_path, other)


def test_no_store_and_a_newer_store_are_told_apart(tmp_path):
    with pytest.raises(ReplayError, match="describes no replay store"):
        ReplayReader(tmp_path)
    (tmp_path / "store.json").write_text('{"format": 99, "fields": {}}')
    with pytest.raises(ReplayError, match="format is 99"):
        ReplayReader(tmp_path)


def test_a_reader_is_a_snapshot_and_new_episodes_follow(tmp_path):
    store = ReplayStore(tmp_path, SCHEMA)
    store.write(EpisodeId(0, 0), episode(2), {"tries": 2, "successes": 1})
    before = store.reader()
    store.write(EpisodeId(0, 1), episode(3), {"tries": 3, "successes": 3})
    assert (len(before), len(store.reader())) == (1, 2)


def test_statistics_by_stage_and_in_sum(tmp_path):
    store = ReplayStore(tmp_path, SCHEMA)
    store.write(EpisodeId(0, 0), episode(4), {"tries": 4, "successes": 1, "cpu_s": 2.0})
    store.skip(EpisodeId(0, 1), {"skipped": "no scene", "cpu_s": 0.5})
    store.write(EpisodeId(2, 0), episode(6), {"tries": 6, "successes": 3})
    first, second, both = store.reader().statistics()
    assert (first.stage, first.tries, first.successes, first.skipped, first.episodes) == (0, 4, 1, 1, 1)
    assert (first.rate, first.cpu_s) == (0.25, 2.5)
    assert (second.stage, second.rate) == (2, 0.5)
    assert (both.stage, both.tries, both.successes, both.rate) == (None, 10, 4, 0.4)


def test_the_data_of_a_stage_does_not_depend_on_who_came_first(tmp_path):
    store = ReplayStore(tmp_path, SCHEMA)
    for index in (3, 0, 1, 5):
        store.write(EpisodeId(0, index), episode(4), {"tries": 4})
    # Episode 2 is still running: what follows it does not count yet.
    assert [i.index for i in store.reader().first(0, 100)] == [0, 1]
    store.write(EpisodeId(0, 2), episode(4), {"tries": 4})
    assert [i.index for i in store.reader().first(0, 9)] == [0, 1, 2]
    assert [i.index for i in store.reader(upto={0: 8}).ids] == [0, 1]


def test_transitions_stay_within_an_episode(tmp_path):
    store = ReplayStore(tmp_path, SCHEMA)
    parts = [episode(3, 1), episode(1, 2), episode(2, 3)]
    for index, fields in enumerate(parts):
        store.write(EpisodeId(0, index), fields, {"tries": len(fields["value"])})
    pairs = [(float(a["value"]), float(b["value"])) for a, b in store.reader().transitions()]
    expected = [(float(p["value"][t]), float(p["value"][t + 1])) for p in parts for t in range(len(p["value"]) - 1)]
    assert pairs == expected
    assert len(pairs) == 3


def test_a_broken_file_is_named(tmp_path):
    store = ReplayStore(tmp_path, SCHEMA)
    store.path(EpisodeId(0, 0)).write_bytes(b"PK nonsense")
    with zipfile.ZipFile(store.path(EpisodeId(0, 1)), "w") as file:
        file.writestr("a.txt", "no zarr")
    for index in range(2):
        with pytest.raises(ReplayError, match=rf"00-00000{index}\.zip"):
            store.reader().info(index)
        with pytest.raises(ReplayError, match=rf"00-00000{index}\.zip"):
            store.reader().episode(index)


def test_a_killed_writer_loses_only_what_it_had_in_hand(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    told = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(int(line))
            if len(told) == 5:
                break
        episodes = Path(tmp_path) / "episodes"
        # In the middle of a write: its unfinished file is there.
        while not list(episodes.glob("*.part")):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    reader = ReplayReader(tmp_path)
    assert len(reader) >= 5
    for index in range(len(reader)):
        assert reader.episode(index)["image"].shape == (20, 400, 500)
        assert reader.ids[index].index == index
    store = ReplayStore(tmp_path, reader.schema)
    assert store.remove_unfinished() <= 1
    assert not list(episodes.glob("*.part"))
    store.write(EpisodeId(0, len(reader)), {"image": np.zeros((1, 400, 500), np.uint16)}, {"tries": 1})
    assert len(store.reader()) == len(reader) + 1
