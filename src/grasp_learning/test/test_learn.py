# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from grasp_core.config import ConfigError
from grasp_learning.collect import Collector
from grasp_learning.episode_file import ReplayError
from grasp_learning.learn import learn, main
from grasp_learning.settings import check_pinned, load_settings, read_pinned
from grasp_learning.state_file import load_state, save_state
from grasp_learning.train import Trainer, checkpoint_folder, state_file
from grasp_learning.usage import origin


@pytest.fixture
def collected(tmp_path, settings):
    """A run with the tries of its one stage."""
    run = settings(stage={"tries": 60})
    assert Collector(run, 0, tmp_path / "run", quiet=True).run(60)
    return run, tmp_path / "run"


def weights(run, folder, stage=0):
    return load_state(state_file(folder, run, stage))["learner"]


def test_it_learns_the_answer(tmp_path, settings):
    run = settings(stages=2, stage={"tries": 60})
    assert learn(run, tmp_path, quiet=True)
    report = json.loads((tmp_path / "run.json").read_text())
    random, follows = report["stages"]
    assert 0.25 < random["rate"] < 0.75
    assert follows["rate"] == 1.0, "what was learned decides the second stage"
    assert report["finished"]
    assert set(report["core_hours"]) == {"collect", "train"}
    assert report["core_hours_in_all"] == pytest.approx(sum(report["core_hours"].values()), abs=2e-4)
    assert report["machine"]["cores"] >= 1
    curve = json.loads((tmp_path / "training" / "curve.json").read_text())
    assert [p["right"] for p in curve if p["kind"] == "measure"][-1] == 1.0
    assert [p["updates"] for p in curve if p["kind"] == "train"] == list(range(5, 81, 5))
    assert (tmp_path / "training" / "curve.png").stat().st_size > 1000
    assert list((tmp_path / "training" / "tensorboard").glob("events*"))
    card = yaml.safe_load((checkpoint_folder(tmp_path, run, 1) / "card.yaml").read_text())
    assert card["data"]["tries"] >= 120
    assert card["updates"] == 40


def test_a_finished_run_is_left_alone(tmp_path, settings):
    run = settings(stage={"tries": 30})
    assert learn(run, tmp_path, quiet=True)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.suffix in (".zip", ".safetensors")}
    assert learn(run, tmp_path, quiet=True)
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_a_run_killed_while_it_wrote_its_policy_writes_it_again(tmp_path, settings):
    run = settings(stages=2, stage={"tries": 30})
    assert learn(run, tmp_path, quiet=True)
    cards = [checkpoint_folder(tmp_path, run, number) / "card.yaml" for number in range(2)]
    kept = cards[1].with_name("weights.safetensors").read_bytes()
    cards[1].unlink()
    assert learn(run, tmp_path, quiet=True)
    assert cards[1].exists()
    assert cards[1].with_name("weights.safetensors").read_bytes() == kept


def test_a_state_that_counts_as_learned_never_comes_before_its_policy(collected, monkeypatch):
    run, folder = collected
    trainer = Trainer(run, 0, folder, quiet=True)

    def dies(*_):
        raise SystemExit("killed")

    monkeypatch.setattr(trainer.learner, "save_policy", dies)
    with pytest.raises(SystemExit):
        trainer.run()
    assert int(load_state(state_file(folder, run, 0))["step"]) < 40


def test_more_stages_may_follow_later(tmp_path, settings):
    assert learn(settings(stages=1, stage={"tries": 60}), tmp_path, quiet=True)
    assert learn(settings(stages=2, stage={"tries": 60}), tmp_path, quiet=True)
    with pytest.raises(ConfigError, match="stages: 2 then, 1 now"):
        learn(settings(stages=1, stage={"tries": 60}), tmp_path, quiet=True)


def test_fewer_tries_than_before_are_told(tmp_path, settings, caplog):
    read_pinned(tmp_path, settings(stage={"tries": 30}))
    read_pinned(tmp_path, settings(stage={"tries": 30}))
    assert not caplog.records
    read_pinned(tmp_path, settings(stage={"tries": 20}))
    assert "tries was 30 and is 20 now" in caplog.text


def test_a_run_goes_on_with_the_defaults_that_it_was_begun_with(tmp_path, settings, monkeypatch):
    import toy_system

    class OtherDefaults(toy_system.ToySettings):
        rate: float = 1e-5
        drag: float = 1e-5

    run = settings(stage={"tries": 30})
    read_pinned(tmp_path, run)
    explicit = settings(stage={"tries": 30}, settings={"rate": 0.5})
    check_pinned(tmp_path, explicit)
    with pytest.raises(ConfigError, match=r"settings\.rate: 0\.5 then, 0\.1 now"):
        check_pinned(tmp_path, settings(stage={"tries": 30}, settings={"rate": 0.1}))
    monkeypatch.setattr(toy_system.ToyRecipe, "config_type", OtherDefaults)
    with pytest.raises(ConfigError, match=r"rate: 0\.5 then, 1e-05 now; settings\.drag: not there then, 1e-05 now"):
        learn(run, tmp_path, quiet=True)
    file = tmp_path / "settings.json"
    begun = json.loads(file.read_text())
    del begun["resolved"]
    file.write_text(json.dumps(begun))
    read_pinned(tmp_path, run)
    assert "resolved" not in json.loads(file.read_text()), "nobody knows what an older run was begun with"
    other = tmp_path / "other"
    for _ in range(2):
        read_pinned(other, run)
    assert json.loads((other / "settings.json").read_text())["resolved"] == {"rate": 1e-5, "drag": 1e-5}


@pytest.mark.parametrize("stops", [(13,), (10, 11, 31)])
def test_resumed_training_ends_equal_to_the_bit(collected, tmp_path, stops):
    run, folder = collected
    np.random.seed(99)  # noqa: NPY002
    assert Trainer(run, 0, folder, quiet=True).run()
    whole, curve = weights(run, folder), (folder / "training" / "curve.json").read_text()
    (folder / "training").rename(tmp_path / "uninterrupted")
    for stop in stops:
        torch.manual_seed(stop)  # whatever else the process did before
        np.random.seed(stop)  # noqa: NPY002
        assert Trainer(run, 0, folder, quiet=True).run(total=stop)
    assert Trainer(run, 0, folder, quiet=True).run()
    again = weights(run, folder)
    assert torch.equal(again["weight"], whole["weight"])
    for name, value in whole["optimiser"]["state"][0].items():
        assert torch.equal(again["optimiser"]["state"][0][name], value)
    kept = {p["step"]: p for p in json.loads((folder / "training" / "curve.json").read_text()) if p["kind"] == "train"}
    for point in json.loads(curve):
        if point["kind"] == "train" and not any(point["step"] - 5 < stop < point["step"] for stop in stops):
            assert kept[point["step"]] == point


def test_a_killed_training_goes_on_from_its_last_state(collected, monkeypatch):
    run, folder = collected
    assert Trainer(run, 0, folder, quiet=True).run()
    whole = weights(run, folder)
    state_file(folder, run, 0).unlink()
    trainer = Trainer(run, 0, folder, quiet=True)
    update = trainer.learner.update

    def dies(step):
        if step == 27:
            raise SystemExit("killed")
        return update(step)

    monkeypatch.setattr(trainer.learner, "update", dies)
    with pytest.raises(SystemExit):
        trainer.run()
    assert int(load_state(state_file(folder, run, 0))["step"]) == 20
    assert Trainer(run, 0, folder, quiet=True).run()
    assert torch.equal(weights(run, folder)["weight"], whole["weight"])


def test_more_updates_and_the_same_data(collected):
    run, folder = collected
    assert Trainer(run, 0, folder, quiet=True).run(total=10)
    assert Collector(run, 0, folder, quiet=True).run(100), "more tries come while the training waits"
    longer = run.with_values(stages=[{**run.stages[0].model_dump(), "tries": 100}])
    trainer = Trainer(longer, 0, folder, quiet=True)
    assert trainer.run(more=5)
    assert int(load_state(state_file(folder, run, 0))["step"]) == 15
    assert trainer.learner.begun[0][1] < 100, "a stage goes on with the tries that it was begun with"


def test_a_training_begun_with_fewer_tries_than_asked_for_keeps_them(collected, caplog):
    run, folder = collected
    more = run.with_values(stages=[{**run.stages[0].model_dump(), "tries": 100}])
    first, later = (Trainer(more, 0, folder, quiet=True) for _ in range(2))
    assert first.run(total=10)
    assert "100 are asked for" in caplog.text
    assert Collector(more, 0, folder, quiet=True).run(100)
    assert later.run()
    assert later.learner.begun == first.learner.begun


def test_a_card_tells_no_path_of_the_machine(monkeypatch):
    monkeypatch.setattr("sys.argv", ["learn", "--config", "push_grasp.yaml", "--out", "/home/somebody/runs/first"])
    assert origin()["command"].endswith("--config push_grasp.yaml --out first")


def test_an_ablation_learns_from_the_tries_of_another_run(collected, tmp_path, capsys):
    run, folder = collected
    file, other = tmp_path / "run.yaml", tmp_path / "ablation"
    file.write_text(yaml.safe_dump(run.model_dump(mode="json")))
    arguments = ["--config", str(file), "--out", str(other), "--replay", str(folder / "replay")]
    assert main([*arguments, "--set", "settings.rate=0.01", "stages.s0.updates=8"]) == 0
    assert not (other / "replay").exists()
    assert json.loads((other / "settings.json").read_text())["settings"] == {"rate": 0.01}
    assert int(load_state(state_file(other, run, 0))["step"]) == 8
    assert "collect" not in json.loads((other / "run.json").read_text())["core_hours"]
    assert main([*arguments, "--set", "stages.s0.tries=1000"]) == 2
    assert "1000 are asked for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("a.b", "expected path"),
        ("seed.x=1", "no 'seed'"),
        ("stages.none.tries=1", "no stage 'none'"),
        ("rate=1", "'rate'"),
    ],
)
def test_a_change_that_fits_nowhere_is_refused(tmp_path, settings, change, message):
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(settings().model_dump(mode="json")))
    assert load_settings(file, ("stages.s0.tries=7", "settings.rate=0.25")).stages[0].tries == 7
    with pytest.raises(ConfigError, match=message):
        load_settings(file, (change,))


def test_a_stage_needs_the_one_before(tmp_path, settings):
    run = settings(stages=2)
    with pytest.raises(ConfigError, match="'s0' comes first"):
        Trainer(run, 1, tmp_path, quiet=True).run()


def test_state_keeps_types_and_random_numbers(tmp_path):
    file = tmp_path / "state.safetensors"
    shared = torch.arange(4.0)
    state = {
        "a": shared,
        "b": shared,
        "c": {0: (1, 2.5, None), "x": [True, "text"]},
        "d": np.arange(3),
        "e": np.int64(7),
    }
    torch.manual_seed(5)
    save_state(file, state)
    wanted = (torch.rand(2), np.random.rand())  # noqa: NPY002
    found = load_state(file, random_numbers=True)
    assert torch.equal(torch.rand(2), wanted[0])
    assert np.random.rand() == wanted[1]  # noqa: NPY002
    assert torch.equal(found["a"], shared)
    assert torch.equal(found["b"], shared)
    assert found["c"] == {0: (1, 2.5, None), "x": [True, "text"]}
    assert found["d"].tolist() == [0, 1, 2]
    assert found["e"] == 7


def test_what_is_no_state_is_refused(tmp_path):
    file = tmp_path / "state.safetensors"
    file.write_bytes(b"\x80\x04]q\x00.")
    with pytest.raises(ReplayError, match="no state"):
        load_state(file)
    with pytest.raises(TypeError, match="not object"):
        save_state(file, {"a": object()})


def test_the_command_line_refuses_in_words(tmp_path, settings, capsys):
    file = tmp_path / "run.yaml"
    file.write_text("recipe: nonsense\nstages: []\n")
    assert main(["--config", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "stages" in capsys.readouterr().err
    values = settings().model_dump(mode="json")
    file.write_text(yaml.safe_dump({**values, "settings": {"rat": 1.0}}))
    assert main(["--config", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "no setting 'rat'" in capsys.readouterr().err
    assert main(["--config", "nowhere.yaml", "--out", str(tmp_path / "out")]) == 2
    assert "nowhere.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("stages.sixth.learn.newest_facto=3", "newest_facto"),
        ("stages.sixth.learn.newest_factor=0", "newest_factor"),
        ("settings.learn.sampling=opposite", "newest_factor is 5.0; with learn.sampling 'opposite'"),
    ],
)
def test_what_a_stage_could_not_learn_by_is_refused_before_anything_is_collected(change, said):
    with pytest.raises(ConfigError, match=said):
        load_settings(Path("push_grasp.yaml"), (change,))


@pytest.mark.parametrize("name", ["push_grasp", "push_grasp_grasp_only", "push_grasp_reactive", "patch_grasp"])
def test_the_learning_runs_that_ship_are_taken(name):
    assert load_settings(Path(f"{name}.yaml")).recipe in name
