# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from toy_system import ScriptedPolicy, ToyCell

from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.cell import Outcome, Reason
from grasp_core.config import Config, ConfigError
from grasp_core.geometry import look_at, top_down
from grasp_core.observation import Observation
from grasp_learning import collect, contestants, evaluate, learn, train
from grasp_learning.evaluation_plot import plot
from grasp_learning.judging import LookJudge, TruthJudge
from grasp_learning.protocols import Protocol, RunOrder, load_protocol, orders
from grasp_learning.runs import RunRow, run_once
from grasp_learning.scores import by_place, markdown, score
from grasp_learning.settings import LearningSettings, StageSettings

PLAIN = Protocol(scenes=("plain",), runs=3, max_actions=40)


def play(script: str, count: int = 3, **changes) -> RunRow:
    policy = ScriptedPolicy(script)
    row = run_once(ToyCell(count), policy, PLAIN.with_values(**changes), RunOrder("plain", 0, 5))
    assert len(policy.learned) == len(row.actions), "a policy that learns hears of every action"
    return row


@pytest.mark.parametrize(
    ("script", "count", "ended", "complete", "picked", "grasp_success", "efficiency"),
    [
        ("g", 3, "empty", True, 3, 1.0, 1.0),
        ("mgpg", 2, "empty", True, 2, 2 / 3, 2 / 4),
        ("gm", 2, "no_change", False, 1, 1 / 12, 1 / 12),  # more than ten actions in a row change nothing
        ("n", 1, "no_change", False, 0, None, 0.0),
        ("p", 1, "max_actions", False, 0, None, 0.0),
        ("gs", 3, "stopped", False, 1, 1.0, 1.0),
        ("og", 3, "empty", False, 2, 1.0, 2 / 3),  # one was swept off the table
        ("mmmmmmmmmmg", 1, "empty", True, 1, 1 / 11, 1 / 11),  # ten failures in a row are allowed
        ("mmmmmmpmmmmmg", 1, "empty", False, 1, 1 / 12, 1 / 13),  # eleven, though a push between changed something
    ],
)
def test_a_run_is_counted_by_the_papers_rules(script, count, ended, complete, picked, grasp_success, efficiency):
    row = play(script, count)
    assert (row.ended, row.complete, row.picked) == (ended, complete, picked)
    assert row.grasp_success == pytest.approx(grasp_success)
    assert row.efficiency == pytest.approx(efficiency)
    assert row.objects == count


def test_both_rules_are_logged():
    row = play("mmmmmmpmmmmmg", 1)
    assert (row.longest_futile, row.longest_failed) == (6, 11)
    assert [a.kind for a in row.actions].count("push") == 1
    assert row.actions[-1].reason == "held"
    assert play("og", 3).lost == 1


def test_scores_of_known_runs():
    rows = [play("g", 4), play("mg", 4), play("n", 4)]
    found = score(rows)
    assert found["completion"]["mean"] == pytest.approx(2 / 3)
    assert found["completion"]["n"] == 3
    # Wilson's interval of 2 in 3, from the formula by hand.
    z, p, n = 1.959964, 2 / 3, 3
    middle, half = (
        (p + z**2 / (2 * n)) / (1 + z**2 / n),
        z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n),
    )
    assert found["completion"]["low"] == pytest.approx(middle - half, abs=1e-5)
    assert found["completion"]["high"] == pytest.approx(middle + half, abs=1e-5)
    assert found["grasp_success"]["mean"] == pytest.approx((1.0 + 4 / 5) / 2)
    assert found["grasp_success"]["n"] == 2, "complete runs only"
    assert found["action_efficiency"]["mean"] == pytest.approx((1.0 + 4 / 5) / 2)
    assert found["all_runs"]["action_efficiency"]["mean"] == pytest.approx((1.0 + 4 / 5 + 0.0) / 3)
    assert (found["picked"], found["objects"], found["pushes"]) == (8, 12, 11)
    assert found["actions_per_run"]["mean"] == pytest.approx((4 + 5) / 2)
    assert found["all_runs"]["actions_per_run"]["mean"] == pytest.approx((4 + 5 + 11) / 3)
    assert found["ended"] == {"empty": 2, "no_change": 1}


def test_single_grasps_are_counted_over_all_runs():
    rows = [play(script, 1, max_actions=1) for script in "ggm"]
    assert score(rows)["grasp_success"]["mean"] == 1.0, "complete runs of one grasp hold by definition"
    found = score(rows, one_action=True)
    assert (found["grasp_success"]["mean"], found["grasp_success"]["n"]) == (pytest.approx(2 / 3), 3)
    assert found["grasp_success"] == found["all_grasps"] == found["completion"]
    assert found["action_efficiency"]["mean"] == pytest.approx(2 / 3)
    assert found["over"] == "all runs"
    result = {"label": "x", **found, "by_place": by_place(rows, one_action=True)}
    table = markdown([result])
    assert "66.7" in table
    assert "100.0" not in table.splitlines()[2].split("[")[0]
    assert "A run is one action" in table
    plain = {"label": "x", **score(rows), "by_place": by_place(rows)}
    assert "A run is one action" not in markdown([plain])


def test_what_the_gripper_felt_is_told_beside_what_was_picked():
    rows = [play(script, 1, max_actions=1) for script in "ggm"]
    # The fingers did not notice what they held.
    rows[0].actions[0] = dataclasses.replace(rows[0].actions[0], reason="missed")
    found = score(rows, one_action=True)
    assert found["grasp_success"]["mean"] == pytest.approx(2 / 3)
    assert (found["felt_grasps"]["mean"], found["felt_grasps"]["n"]) == (pytest.approx(1 / 3), 3)
    assert "the gripper itself felt held: x 33.3 [" in markdown([{"label": "x", **found, "by_place": {}}])


def test_no_complete_run_has_no_mean():
    found = score([play("n", 1)])
    assert found["grasp_success"] == {"mean": None, "low": None, "high": None, "n": 0}
    json.dumps(found, allow_nan=False)


def test_a_mean_of_one_run_is_told_without_an_interval(tmp_path):
    found = score([play("mg", 4)])
    assert found["grasp_success"] == {"mean": pytest.approx(0.8), "low": None, "high": None, "n": 1}
    result = {"label": "x", **found, "by_place": {}, "protocol": {"description": "one run"}}
    assert "| 80.0 % |" in markdown([result])
    plot([result], tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 0


def test_a_grasp_after_a_push_is_told_apart():
    found = score([play("pgmpmg", 2)])
    assert found["grasp_after_push"]["n"] == 2
    assert found["grasp_after_push"]["mean"] == 0.5


def test_every_policy_meets_the_same_scenes():
    first, second = orders(PLAIN, 7), orders(PLAIN, 7)
    assert first == second
    assert len({order.seed for order in first}) == 3
    assert orders(PLAIN, 8) != first
    longer = PLAIN.with_values(runs=5)
    assert orders(longer, 7)[:3] == first, "more runs add to the same ones"


@pytest.mark.parametrize("name", ["random_10", "random_30", "adversarial", "adversarial_blocks", "adversarial_unseen"])
def test_the_shipped_protocols_say_what_the_paper_says(name):
    protocol = load_protocol(name)
    assert (protocol.runs, protocol.futile_limit, protocol.failed_limit) == (30, 10, 10)
    assert bool(protocol.cases) == name.startswith("adversarial")


def test_the_development_protocol_is_no_evaluation():
    protocol = load_protocol("development")
    assert (protocol.runs, protocol.futile_limit, protocol.failed_limit) == (10, 10, 10)
    assert set(protocol.scenes) == {"tiles_packed", "boxes_packed", "blocks_packed", "blocks_dense"}


def test_cases_come_from_any_folder(tmp_path):
    with pytest.raises(ConfigError, match="no case files"):
        Protocol(cases=str(tmp_path)).places()
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).touch()
    found = orders(Protocol(cases=str(tmp_path), runs=2), 0)
    assert [(o.name, o.number) for o in found] == [("a.txt", 0), ("b.txt", 0), ("a.txt", 1), ("b.txt", 1)]
    with pytest.raises(ConfigError, match="one of them"):
        Protocol.from_mapping({"scenes": ["a"], "cases": "b"})
    with pytest.raises(ConfigError, match="there is adversarial") as refused:
        load_protocol("nonsense")
    assert "offline" not in str(refused.value), "of the kind that is asked for"


def command(tmp_path, *more: str) -> list[str]:
    file = tmp_path / "protocol.yaml"
    file.write_text("scenes: [plain, sometimes]\nruns: 4\nmax_actions: 40\n")
    policies = ["--policy", "toy_system:SCRIPTED", "toy_system:SCRIPTED", "--label", "good", "bad"]
    options = ["--options", "{script: mg}", "{script: n}", "--checkpoint", "none", "none"]
    return ["--cell", "toy_system:ToyCell", "--protocol", str(file), *policies, *options, *more]


def test_evaluate_writes_what_is_promised(tmp_path, capsys):
    one, two, picture = tmp_path / "one.json", tmp_path / "two.json", tmp_path / "one.png"
    assert evaluate.main(command(tmp_path, "--workers", "1", "--json", str(one), "--png", str(picture))) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    told = capsys.readouterr().out
    assert "| good | 100.0" in told
    assert "bad differs from good in `options.script`: mg -> n." in told
    assert evaluate.main(command(tmp_path, "--workers", "2", "--json", str(two))) == 0
    good, bad = json.loads(one.read_text())["policies"]
    for name in ("completion", "grasp_success", "action_efficiency"):
        assert set(good[name]) == {"mean", "low", "high", "n"}
    assert good["grasp_success"]["mean"] == 0.75
    assert bad["completion"]["mean"] == 0.0
    skipped = [run for run in good["runs"] if run["ended"] == "skipped"]
    assert len(good["runs"]) == 8
    assert skipped
    assert "cannot be made" in skipped[0]["message"]
    assert good["completion"]["n"] == 8 - len(skipped)
    assert [r["seed"] for r in good["runs"]] == [r["seed"] for r in bad["runs"]]
    assert set(good["by_place"]) == {"plain", "sometimes"}

    def timeless(file):
        runs = [run for policy in json.loads(file.read_text())["policies"] for run in policy["runs"]]
        return [{k: v for k, v in run.items() if k not in ("wall_s", "thinking_s")} for run in runs]

    assert timeless(one) == timeless(two), "the number of processes changes nothing"


def test_a_stopped_evaluation_goes_on(tmp_path):
    file = tmp_path / "result.json"
    kept = tmp_path / "result.json.runs.jsonl"
    contestant = contestants.Contestant(label="a", policy="toy_system:SCRIPTED", options={"script": "g"})
    place = PLAIN.with_values(runs=1)
    assert evaluate.evaluate("toy_system:ToyCell", place, (contestant,), file=file, quiet=True)
    with kept.open("a") as unfinished:
        unfinished.write('{"contestant": 0, "ru')  # killed while writing
    (result,) = evaluate.evaluate("toy_system:ToyCell", PLAIN, (contestant,), file=file, quiet=True) or [{}]
    assert len(result["runs"]) == 3
    assert len([line for line in kept.read_text().splitlines() if '"run"' in line]) == 3
    with pytest.raises(ConfigError, match="another evaluation"):
        evaluate.evaluate("toy_system:ToyCell", PLAIN, (contestant,), seed=1, file=file, quiet=True)


def test_runs_are_not_kept_for_cases_that_have_changed(tmp_path):
    case, file = tmp_path / "cases" / "one.txt", tmp_path / "result.json"
    case.parent.mkdir()
    case.write_text("as it was")
    contestant = contestants.Contestant(label="a", policy="toy_system:SCRIPTED", options={"script": "g"})
    protocol = Protocol(cases=str(case.parent), runs=1)
    (result,) = evaluate.evaluate("toy_system:ToyCell", protocol, (contestant,), file=file, quiet=True) or [{}]
    assert result["cases"] == {"one.txt": hashlib.sha256(b"as it was").hexdigest()}
    assert evaluate.evaluate("toy_system:ToyCell", protocol, (contestant,), file=file, quiet=True)
    case.write_text("as it is now")
    with pytest.raises(ConfigError, match="another evaluation"):
        evaluate.evaluate("toy_system:ToyCell", protocol, (contestant,), file=file, quiet=True)


def test_one_policy_is_at_the_top_level(tmp_path):
    file = tmp_path / "r.json"
    arguments = ["--cell", "toy_system:ToyCell", "--policy", "toy_system:SCRIPTED", "--options", "{script: g}"]
    protocol = tmp_path / "p.yaml"
    protocol.write_text("scenes: [plain]\n")
    more = ["--protocol", str(protocol), "--runs", "2", "--workers", "1", "--json", str(file)]
    assert evaluate.main([*arguments, *more]) == 0
    result = json.loads(file.read_text())
    assert result["completion"] == {"mean": 1.0, "low": pytest.approx(0.342, abs=1e-3), "high": 1.0, "n": 2}
    assert {"objects", "picked", "seed", "place", "ended", "actions"} <= set(result["runs"][0])


def test_wrong_arguments_are_told_in_words(tmp_path, capsys):
    assert evaluate.main([*command(tmp_path), "--label", "same", "same"]) == 2
    assert "share a label" in capsys.readouterr().err
    assert evaluate.main([*command(tmp_path), "--png", "result.pgn"]) == 2
    assert "its name ends in .png" in capsys.readouterr().err
    assert evaluate.main(["--policy", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err
    assert evaluate.main(["--policy", "a", "b", "--options", "{}"]) == 2
    assert "given 1 times for 2 policies" in capsys.readouterr().err
    assert evaluate.main([*command(tmp_path), "--cell-options", "nonsense"]) == 2
    assert "expected a mapping" in capsys.readouterr().err
    # What only a policy itself can refuse is told in its words too, not from a worker's traceback.
    for extra, words in ((("--options", "{moon: 1}"), "there is no setting 'moon'"), (("--device", "moon"), "'moon'")):
        asked = ["--policy", "push_grasp", "--protocol", "random_30", "--runs", "1", "--workers", "1", *extra]
        assert evaluate.main(asked) == 2
        told = capsys.readouterr().err
        assert words in told
        assert "Traceback" not in told


def test_what_differs_between_checkpoints_is_listed(tmp_path):
    def contestant(name: str, **config) -> contestants.Contestant:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "card.yaml").write_text(json.dumps({"config": config, "updates": 5}))
        return contestants.Contestant(label=name, policy="x", checkpoint=str(folder))

    full = contestant("full", gamma=0.5, network={"depth": True})
    blind = contestant("blind", gamma=0.5, network={"depth": False})
    assert contestants.differences([full, blind]) == [{}, {"config.network.depth": [True, False]}]
    before = contestants.fingerprint(blind)
    assert before == contestants.fingerprint(blind) != contestants.fingerprint(full)
    (tmp_path / "blind" / "weights").write_bytes(b"other")
    assert contestants.fingerprint(blind) != before


def test_truth_tells_moves_from_noise():
    cell = ToyCell(2)
    observation = cell.reset("plain", 1)
    judge = TruthJudge(cell, 0.01)
    assert judge.begin(observation) == 2
    outcome = Outcome(None, None, True, Reason.PUSHED, observation)  # type: ignore[arg-type]
    cell._poses[0][0, 3] += 0.009
    assert not judge.after(outcome).changed
    cell._poses[0][0, 3] += 0.011
    assert judge.after(outcome).changed
    cell._poses[1] = top_down((0.1, 0.0, 0.0), 0.5)
    assert judge.after(outcome).changed, "turned in place"


def test_without_truth_the_heightmap_tells():
    camera = look_at((0.5, 0.0, 1.0), (0.5, 0.0, 0.0), (1.0, 0.0, 0.0))
    intrinsics = Intrinsics(160, 120, 150.0, 150.0, 80.0, 60.0)

    def picture(depth_m: np.ndarray) -> Observation:
        rgb = np.zeros((120, 160, 3), np.uint8)
        frame = CameraFrame(intrinsics, camera, 0, rgb, depth_m.astype(np.float32))
        return Observation({"fixed_camera": frame}, {}, {}, 0)

    flat = np.full((120, 160), 1.0)
    raised, speck = flat.copy(), flat.copy()
    raised[50:70, 70:90] -= 0.05
    speck[50:52, 70:72] -= 0.05
    with pytest.raises(ConfigError, match="camera 'fixed_camera'; its observations carry none"):
        LookJudge(objects=2).begin(Observation({}, {}, {}, 0))
    judge = LookJudge(objects=2)
    assert judge.begin(picture(flat)) == 2
    outcome = Outcome(None, None, True, Reason.PUSHED, picture(speck))  # type: ignore[arg-type]
    assert not judge.after(outcome).changed
    outcome = Outcome(None, None, True, Reason.PUSHED, picture(raised))  # type: ignore[arg-type]
    change = judge.after(outcome)
    assert change.changed
    assert change.left == 2


@pytest.mark.parametrize(
    "config",
    [
        collect.CollectArguments,
        train.TrainArguments,
        learn.LearnArguments,
        evaluate.EvaluateArguments,
        LearningSettings,
        StageSettings,
        Protocol,
    ],
)
def test_every_setting_explains_itself(config: type[Config]):
    silent = [name for name, value in config.model_fields.items() if not value.description]
    assert not silent
