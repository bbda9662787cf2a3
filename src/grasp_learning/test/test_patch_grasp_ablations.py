# SPDX-License-Identifier: Apache-2.0
"""``patch_grasp`` told apart offline, and which variants of a run are learned, on tries at bars."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from grasp_core.config import ConfigError
from grasp_learning import patch_grasp_ablations, patch_grasp_offline
from grasp_learning.learn import learn
from grasp_learning.patch_grasp_ablations import AMOUNTS, finished_rows, settings_of, variants
from grasp_learning.protocols import OfflineProtocol, load_offline, load_protocol
from grasp_learning.replay import EpisodeId, ReplayStore
from grasp_learning.settings import LearningSettings, check_pinned, load_settings, read_pinned
from grasp_policies.patch_grasp.behaviour import fields_of
from grasp_policies.patch_grasp.learner import LearnSettings
from grasp_policies.patch_grasp.recipe import PatchGraspRecipe, PatchGraspSettings
from grasp_policies.patch_grasp.settings import PatchGraspConfig

FIELDS = fields_of(PatchGraspConfig())
EPISODE = 20


def bars(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Tries at bars along +column, held where the fingers close across them."""
    rows, columns = np.mgrid[0:55, 0:55] - 27
    on = (np.abs(rows) <= 4) & (np.abs(columns) <= 14)
    angle = rng.uniform(0.0, np.pi, EPISODE)
    fields = {name: np.zeros((EPISODE, *shape), dtype) for name, (shape, dtype) in FIELDS.items()}
    fields["height"][:] = np.where(on, 400, 0)
    fields["rgb"][:] = np.where(on[..., None], (200, 20, 20), 200)
    fields["angle"][:] = angle
    fields["success"][:] = np.abs(np.cos(angle)) < 0.6
    return fields


def store(folder: Path, settings: LearningSettings, episodes: int, seed: int) -> None:
    """The tries of a finished run."""
    read_pinned(folder, settings)
    kept, rng = ReplayStore(folder / "replay", FIELDS), np.random.default_rng(seed)
    for stage, wanted in enumerate(settings.stages):
        for index in range(episodes):
            info = {"tries": EPISODE, "successes": 0, "stage": wanted.name}
            kept.write(EpisodeId(stage, index), bars(rng), info)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two stages that has learned for a moment, and the tries of the protocol."""
    folder = tmp_path_factory.mktemp("patch_grasp") / "run"
    small = ("settings.policy.network.channels=4", "settings.learn.threads=1", "settings.learn.epochs=1")
    values = load_settings(Path("patch_grasp.yaml"), small).model_dump(mode="json")
    values["stages"] = [{**stage, "tries": 200, "updates": 2} for stage in values["stages"][:2]]
    settings = LearningSettings.from_mapping(values)
    store(folder, settings, 10, 0)
    assert learn(settings, folder, quiet=True, replay=folder / "replay")
    file = folder / "few.yaml"
    file.write_text(yaml.safe_dump({**load_offline("offline").model_dump(), "tries": 200}), encoding="utf-8")
    store(folder / "offline" / "tries", load_offline(str(file)).collection(), 10, 1)
    return folder


def test_the_offline_protocol_is_data() -> None:
    protocol = load_offline("offline")
    settings = protocol.collection()
    assert settings.cell_options["split"] == protocol.split == "test"
    assert settings.seed == protocol.seed != load_settings(Path("patch_grasp.yaml")).seed
    assert settings.stages[0].tries == protocol.tries
    with pytest.raises(
        ConfigError, match=r"'offline', which python -m grasp_learning.patch_grasp_offline carries out$"
    ):
        load_protocol("offline")
    with pytest.raises(ConfigError, match=r"'runs', which ros2 run grasp_learning evaluate carries out$"):
        load_offline("random_10")
    with pytest.raises(ConfigError, match="tries is 1"):
        OfflineProtocol.from_mapping({**protocol.model_dump(), "tries": 1}, "offline")
    with pytest.raises(ConfigError, match="holds split"):
        OfflineProtocol.from_mapping({**protocol.model_dump(), "cell_options": {"split": "train"}}, "offline")


def test_one_command_tells_tries_apart(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tries = run / "offline" / "tries"
    before = {file: file.stat().st_mtime_ns for file in tries.rglob("*")}
    assert patch_grasp_offline.main(["--train", str(run), "--protocol", str(run / "few.yaml"), "--most", "100"]) == 0
    assert before == {file: file.stat().st_mtime_ns for file in tries.rglob("*")}, "tries that are there are only read"
    found = json.loads((run / "offline" / "offline.json").read_text("utf-8"))
    names = [row["method"] for row in found["rows"]]
    assert names[0] == "smallest eigenvalue"
    assert names[-2:] == ["network 00-random", "network 01-first"]
    successes = found["tries"]["test_successes"]
    for row in found["rows"]:
        assert row["low"] <= row["accuracy"] <= row["high"]
        assert row["tries"] == found["tries"]["test"] > successes
        network = row["method"].startswith("network")
        assert network == ("learned" in row) == ("aside" in row)
        assert not network or row["learned"]["tries"] > row["aside"]["tries"] > 0
    assert (run / "offline" / "offline.png").stat().st_size > 1000
    assert "| kNN on HoG |" in capsys.readouterr().out


def test_tries_of_another_protocol_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert patch_grasp_offline.main(["--train", str(run), "--protocol", str(run / "few.yaml"), "--test", str(run)]) == 2
    assert "was begun with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "asked", "message"),
    [
        ({"cell_options": {}}, {}, "cell_options.split is None"),
        ({"cell_options": {"split": "test"}}, {}, "cell_options.split is 'test'"),
        ({}, {"split": "train"}, "split is 'train'; expected 'test'"),
        ({"seed": 1000}, {}, "seed is 1000"),
        ({}, {"recipe": "push_grasp"}, "recipe is 'push_grasp'"),
        ({}, {}, "no finished checkpoint"),
    ],
)
def test_what_was_learned_from_is_not_told_apart(
    tmp_path: Path, changed: dict[str, Any], asked: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    read_pinned(tmp_path / "run", load_settings(Path("patch_grasp.yaml")).with_values(**changed))
    file = tmp_path / "asked.yaml"
    file.write_text(yaml.safe_dump({**load_offline("offline").model_dump(), **asked}), encoding="utf-8")
    assert patch_grasp_offline.main(["--train", str(tmp_path / "run"), "--protocol", str(file)]) == 2
    assert message in capsys.readouterr().err


def test_tries_of_unknown_origin_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run / "offline" / "tries" / "replay", tmp_path / "replay")
    arguments = ["--train", str(run), "--protocol", str(run / "few.yaml"), "--test", str(tmp_path)]
    assert patch_grasp_offline.main(arguments) == 2
    assert "but no settings.json" in capsys.readouterr().err


def test_tries_outlive_other_defaults_of_learning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OtherLearning(PatchGraspSettings):
        learn: LearnSettings = LearnSettings(batch=7)

    class OtherTries(PatchGraspSettings):
        policy: PatchGraspConfig = PatchGraspConfig(object_height_m=0.01)

    tries, learns = load_offline("offline").collection(), load_settings(Path("patch_grasp.yaml"))
    read_pinned(tmp_path / "tries", tries)
    read_pinned(tmp_path / "learns", learns)
    monkeypatch.setattr(PatchGraspRecipe, "config_type", OtherLearning)
    check_pinned(tmp_path / "tries", tries)
    with pytest.raises(ConfigError, match=r"settings\.learn\.batch: \d+ then, 7 now"):
        check_pinned(tmp_path / "learns", learns)
    monkeypatch.setattr(PatchGraspRecipe, "config_type", OtherTries)
    with pytest.raises(ConfigError, match=r"settings\.policy\.object_height_m: 0\.006 then, 0\.01 now"):
        check_pinned(tmp_path / "tries", tries)


def test_ablations_go_on_where_they_were(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["--protocol", str(run / "few.yaml"), "--only", "bins", "1_stages", "no_aggregation"]
    assert patch_grasp_ablations.main(["--train", str(run), *wanted]) == 0
    result = json.loads((run / "ablations" / "ablations.json").read_text("utf-8"))["rows"]
    assert {row["method"]: row["trained_on"] for row in result} == {"1_stages": 200, "no_aggregation": 400, "bins": 200}
    weights = run / "ablations" / "bins" / "checkpoints" / "00-random" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    assert patch_grasp_ablations.main(["--train", str(run), *wanted]) == 0
    assert weights.stat().st_mtime_ns == before
    assert (run / "ablations" / "data_curve.png").stat().st_size > 1000
    assert len((run / "ablations" / "ablations.md").read_text("utf-8").splitlines()) == 5
    assert patch_grasp_ablations.main(["--train", str(run), "--only", "nothing"]) == 2
    assert "no variant nothing" in capsys.readouterr().err
    assert patch_grasp_ablations.main(["--train", str(run), *wanted[:3], "one_view"]) == 0
    result = json.loads((run / "ablations" / "ablations.json").read_text("utf-8"))["rows"]
    assert [row["method"] for row in result] == ["1_stages", "no_aggregation", "bins", "one_view"]
    other = load_offline(wanted[1]).with_values(balanced=False)
    assert len(finished_rows(run / "ablations", load_offline(wanted[1]))) == 4
    assert finished_rows(run / "ablations", other) == [], "what was counted otherwise does not belong together"
    file = run / "ablations" / "ablations.json"
    file.write_text(file.read_text("utf-8").replace('"format": 2', '"format": 1'), encoding="utf-8")
    assert finished_rows(run / "ablations", load_offline(wanted[1])) == []


def test_each_variant_changes_what_its_name_says() -> None:
    values = load_settings(Path("patch_grasp.yaml")).model_dump(mode="json")
    found = {v.name: v for v in variants(4, 44000, (*AMOUNTS, 80000))}
    assert "80000_tries" not in found
    made = {n: LearningSettings.from_mapping(settings_of(values, v), n) for n, v in found.items()}
    assert [s.tries for s in made["1000_tries"].stages] == [1000]
    assert made["1000_tries"].stages[0].learn["epochs"] > made["40000_tries"].stages[0].learn["epochs"] == 20.0
    assert len(made["3_stages"].stages) == 3
    assert made["no_aggregation"].system_settings().learn.aggregate is False
    assert made["rgb"].system_settings().policy.network.use_depth is False
    assert made["depth"].system_settings().policy.network.use_colour is False
    for name in ("bins", "bins_rgb"):
        network = made[name].system_settings().policy.network
        assert (network.head, network.heights, network.use_depth) == ("bins", "table", name == "bins")
    assert made["heights_of_table"].system_settings().policy.network.heights == "table"
    assert made["small_trunk"].system_settings().policy.network.trunk == "small"
    assert made["square"].system_settings().policy.rows_px == 37
    assert made["no_jitter"].system_settings().learn.shift_m == made["no_jitter"].system_settings().learn.turn_rad == 0
    assert made["one_view"].system_settings().policy.network.views == 1
    assert made["no_rotation"].system_settings().learn.rotate is False
    assert made["4_stages"].system_settings() == load_settings(Path("patch_grasp.yaml")).system_settings()
    assert values["stages"][0]["tries"] == 44000
