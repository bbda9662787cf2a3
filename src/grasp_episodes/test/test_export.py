# SPDX-License-Identifier: Apache-2.0
"""From messages through a bag and back: what was decided on, what was done, and a LeRobot dataset of it."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Transform, TransformStamped, Vector3
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from grasp_core.actions import Grasp, GripperMotion, Push, Step, Stop
from grasp_core.geometry import top_down, transform
from grasp_episodes import lerobot
from grasp_episodes.export import Arguments, exporter, find_bags, run
from grasp_episodes.lerobot_stats import merged, numbers
from grasp_episodes.mcap_writer import EpisodeBag, Topic
from grasp_episodes.recorded import RecordingError, action_of, read_episode
from grasp_episodes.recorder import add_to_manifest
from grasp_episodes.ros_episode_messages import action_message
from grasp_episodes.ros_topics import definition
from grasp_episodes.transform_tree import TransformTree, UnknownFrameError
from grasp_interfaces.msg import EpisodeStep

ARM = ["shoulder_pan_joint", "shoulder_lift_joint", "elbow_joint", "wrist_1_joint", "wrist_2_joint", "wrist_3_joint"]
PUSH = Push(np.array([0.5, 0.1, 0.02]), np.array([0.6, 0.8, 0.0]), 0.1, "arm")
ACTIONS = [
    Grasp(top_down((0.5, 0.1, 0.02), 0.3), 0.07, {"finger": 0.2}, 0.12),
    Grasp(top_down((0.5, 0.1, 0.02))),
    PUSH,
    Step(transform((0.0, 0.01, 0.02)), GripperMotion.CLOSE, True, "base", "arm"),
    Stop("enough"),
]


def at(ns):
    return Time(sec=ns // 10**9, nanosec=ns % 10**9)


def header(ns, frame="fixed_camera_optical_frame"):
    return Header(stamp=at(ns), frame_id=frame)


def image(pixels, encoding, ns):
    height, width = pixels.shape[:2]
    step = pixels[0].nbytes
    return Image(header=header(ns), height=height, width=width, encoding=encoding, step=step, data=pixels.tobytes())


class Bag:
    """Writes messages with the definitions of the installed types."""

    def __init__(self, folder, **about):
        told = {"cell": "ur5", "scene": "blocks", "seed": 4, **about}
        self.bag = EpisodeBag(
            folder,
            {"episode_id": folder.name, "policy": "p", "episode": json.dumps(told), "launch": "{}"},
        )

    def add(self, topic, ns, message):
        package, name = type(message).__module__.split(".")[0], type(message).__name__
        self.bag.declare(Topic(topic, f"{package}/msg/{name}", definition(f"{package}/msg/{name}")))
        self.bag.write(topic, ns, ns, bytes(serialize_message(message)))


def transform_message(parent, child, ns, x):
    moved = Transform(translation=Vector3(x=x, y=0.0, z=1.0))
    return TransformStamped(header=header(ns, parent), child_frame_id=child, transform=moved)


@pytest.fixture
def recorded(tmp_path):
    """A bag of two seconds with one grasp, and the pixels in it."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.5, 1.5, (12, 16)).astype(np.float32)
    rgb = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    bag = Bag(tmp_path / "run" / "e1")
    static = TFMessage(transforms=[transform_message("world", "fixed_camera_optical_frame", 0, 0.25)])
    bag.add("/tf_static", 1, static)
    info = CameraInfo(header=header(0), width=16, height=12, k=[20.0, 0.0, 7.5, 0.0, 20.0, 5.5, 0.0, 0.0, 1.0])
    jpeg = cv2.imencode(".jpg", rgb[..., ::-1])[1].tobytes()
    for k in range(21):
        ns = 10**9 + k * 10**8
        state = JointState(header=header(ns), name=[*ARM, "finger_joint"], position=[0.1 * k] * 6 + [0.5])
        bag.add("/joint_states", ns, state)
        bag.add("/tf", ns, TFMessage(transforms=[transform_message("world", "grasp_tcp", ns, 0.01 * k)]))
        if k % 2 == 0:
            live = CompressedImage(header=header(ns), format="rgb8; jpeg compressed bgr8", data=jpeg)
            bag.add("/fixed_camera/color/image_raw/compressed", ns, live)
            bag.add("/fixed_camera/depth/image_rect_raw", ns, image(depth, "32FC1", ns))
            bag.add("/fixed_camera/depth/camera_info", ns, info)
    seen = 10**9 + 5 * 10**8
    bag.add("/policy/observed/fixed_camera/depth/image_rect_raw", seen, image(depth, "32FC1", seen))
    bag.add("/policy/observed/fixed_camera/color/image_raw", seen, image(rgb, "rgb8", seen))
    bag.add("/policy/observed/fixed_camera/color/camera_info", seen, info)
    step = EpisodeStep(header=header(seen + 10**9, "world"), episode_id="e1", value=0.75, success=1, changed=-1)
    step.requested = action_message(ACTIONS[0], header(seen, "world"), 0.75)
    step.executed, step.reason, step.observed, step.decided = True, "held", at(seen), at(seen + 10**8)
    step.gripper_width = 0.04
    bag.add("/episode_manager/step", seen + 10**9, step)
    bag.bag.close()
    add_to_manifest(tmp_path / "run", {"episode_id": "e1", "messages": bag.bag.counts})
    return SimpleNamespace(run=tmp_path / "run", bag=tmp_path / "run" / "e1", depth=depth, rgb=rgb, seen=seen)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda a: type(a).__name__)
def test_actions_survive_the_way_through_messages(action):
    back = action_of(action_message(action, Header(), 0.5))
    assert type(back) is type(action)
    for name, value in vars(action).items():
        found = getattr(back, name)
        assert np.allclose(found, value) if isinstance(value, np.ndarray) else found == value, name


def test_an_episode_is_read_back_as_it_was_decided_on(recorded):
    episode = read_episode(recorded.bag)
    assert (episode.episode_id, episode.cell, episode.scene, episode.seed) == ("e1", "ur5", "blocks", 4)
    (step,) = episode.steps
    frame = step.observation.frame("fixed_camera")
    assert np.array_equal(frame.depth_m, recorded.depth)
    assert np.array_equal(frame.rgb, recorded.rgb)
    assert frame.stamp_ns == recorded.seen
    assert np.allclose(frame.T_base_camera[:3, 3], (0.25, 0.0, 1.0))
    assert np.allclose(step.observation.arm().T_base_tcp[:3, 3], (0.05, 0.0, 1.0))
    assert step.observation.joint_positions["elbow_joint"] == pytest.approx(0.5)
    assert np.allclose(step.action.T_base_tcp, ACTIONS[0].T_base_tcp)
    assert (step.success, step.changed, step.reason, step.value) == (True, None, "held", 0.75)
    assert episode.last.frame("fixed_camera").stamp_ns == 3 * 10**9
    assert episode.last.arm().gripper.width_m == 0.04


def test_a_missing_picture_is_told_with_the_action_that_it_belongs_to(tmp_path):
    bag = Bag(tmp_path / "e")
    bag.add("/joint_states", 1, JointState(header=header(1), name=ARM, position=[0.0] * 6))
    late = EpisodeStep(observed=at(9 * 10**9), step=3)
    info = CameraInfo(header=header(1), width=2, height=2)
    bag.add("/policy/observed/fixed_camera/depth/camera_info", 1, info)
    bag.add("/episode_manager/step", 2, late)
    bag.bag.close()
    with pytest.raises(RecordingError, match="picture of fixed_camera that action 3"):
        read_episode(tmp_path / "e")


def test_a_lerobot_dataset_says_what_it_holds(recorded, tmp_path):
    target = tmp_path / "dataset"
    text = run(Arguments((recorded.run,), target, fps=5.0))
    info = json.loads((target / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["total_episodes"], info["fps"]) == ("v3.0", 1, 5)
    assert info["features"]["observation.state"] == {"dtype": "float32", "shape": [7], "names": [*ARM, "finger_joint"]}
    assert info["features"]["observation.images.fixed_camera"]["shape"] == [12, 16, 3]
    table = pq.read_table(target / info["data_path"].format(chunk_index=0, file_index=0))
    assert set(table.column_names) == set(info["features"])
    assert table.num_rows == info["total_frames"] == 9
    assert f"{table.num_rows} rows" in text
    state, action = (np.stack(table[name].to_pylist()) for name in ("observation.state", "action"))
    assert np.allclose(action[:-1], state[1:])
    assert np.allclose(np.diff(table["timestamp"].to_numpy()), 0.2, atol=1e-6)
    png = table["observation.images.fixed_camera"][0].as_py()["bytes"]
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).shape == (12, 16, 3)
    assert table["decision.index"].to_pylist() == [-1, -1, -1, 0, 0, 0, 0, 0, -1]
    stats = json.loads((target / "meta" / "stats.json").read_text())
    assert np.shape(stats["observation.images.fixed_camera"]["mean"]) == (3, 1, 1)
    assert np.allclose(stats["observation.state"]["max"], state.max(axis=0))
    assert stats["frame_index"]["q50"] == [4.0]
    tasks = pq.read_table(target / "meta" / "tasks.parquet")
    assert tasks.to_pydict() == {"task_index": [0], "__index_level_0__": ["clear the table of scene blocks"]}
    (episode,) = pq.read_table(target / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert (episode["length"], episode["dataset_from_index"], episode["dataset_to_index"]) == (9, 0, 9)
    assert episode["stats/observation.state/count"] == [9]
    with pytest.raises(FileExistsError):
        lerobot.export([recorded.bag], target)


def test_episodes_share_files_until_these_are_large(recorded, tmp_path, monkeypatch):
    bags = [recorded.bag] * 3
    lerobot.export(bags, tmp_path / "one", fps=5.0)
    monkeypatch.setattr(lerobot, "FILE_MIB", 0)
    lerobot.export(bags, tmp_path / "many", fps=5.0)
    tables = {}
    for name, files in (("one", 1), ("many", 3)):
        paths = sorted((tmp_path / name / "data").glob("*/*.parquet"))
        assert len(paths) == files
        tables[name] = pq.read_table(paths)
        assert tables[name]["index"].to_pylist() == list(range(27))
        assert tables[name]["episode_index"].to_pylist() == [0] * 9 + [1] * 9 + [2] * 9
    assert tables["one"].equals(tables["many"])
    episodes = pq.read_table(tmp_path / "many" / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [e["data/file_index"] for e in episodes] == [0, 1, 2]
    assert [e["dataset_from_index"] for e in episodes] == [0, 9, 18]


def test_statistics_of_several_episodes_are_those_of_all_rows_together():
    rng = np.random.default_rng(1)
    parts = [rng.normal(k, 1 + k, (10 + 5 * k, 3)) for k in range(3)]
    together, found = np.concatenate(parts), merged([{"x": numbers(part)} for part in parts])["x"]
    for key in ("min", "max", "mean", "std"):
        assert np.allclose(found[key], getattr(together, key)(axis=0)), key
    assert found["count"] == [45]
    assert np.all(np.array(found["q10"]) <= found["q90"])


def test_lerobot_itself_reads_the_dataset(recorded, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    reader = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason="lerobot is not installed")
    lerobot.export([recorded.bag, recorded.bag], tmp_path / "d", fps=5.0)
    later = {"action": [0.0, 0.2]}
    dataset = reader.LeRobotDataset("local/episodes", root=tmp_path / "d", delta_timestamps=later)
    assert (len(dataset), dataset.num_episodes, dataset.fps) == (18, 2, 5)
    item = dataset[9]
    assert (int(item["episode_index"]), int(item["frame_index"]), tuple(item["action"].shape)) == (1, 0, (2, 7))
    assert tuple(item["observation.images.fixed_camera"].shape) == (3, 12, 16)
    assert item["task"] == "clear the table of scene blocks"


def test_bags_are_found_and_exporters_named(recorded, tmp_path):
    assert find_bags([recorded.run]) == find_bags([recorded.bag]) == [recorded.bag]
    with pytest.raises(FileNotFoundError, match="no bag"):
        find_bags([tmp_path / "nothing"])
    with pytest.raises(LookupError, match="there is no exporter 'csv'; there is lerobot"):
        exporter("csv")


def test_frames_are_found_between_stamps_and_across_the_tree():
    tree = TransformTree()
    tree.add("world", "arm", transform((0.0, 0.0, 0.0)), 0, False)
    tree.add("world", "arm", transform((1.0, 0.0, 0.0)), 100, False)
    tree.add("arm", "tool", transform((0.0, 0.5, 0.0)), 0, True)
    tree.add("world", "camera", transform((0.0, 0.0, 2.0)), 0, True)
    assert np.allclose(tree.T("world", "tool", 25)[:3, 3], (0.25, 0.5, 0.0))
    assert np.allclose(tree.T("camera", "tool", 1000)[:3, 3], (1.0, 0.5, -2.0))
    with pytest.raises(UnknownFrameError, match="elsewhere"):
        tree.T("world", "elsewhere", 0)
    tree.add("tool", "world", np.eye(4), 0, True)
    with pytest.raises(UnknownFrameError, match="circle"):
        tree.T("world", "tool", 0)
