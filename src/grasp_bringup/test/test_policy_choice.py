# SPDX-License-Identifier: Apache-2.0
"""Which policy a launch runs with, and which arguments of episodes are refused."""

import pytest

from grasp_bringup.arguments import ARGUMENTS, LaunchArgumentError
from grasp_bringup.cells import load_cell
from grasp_bringup.graph import CELL_ARGUMENTS, check_arguments
from grasp_bringup.policy_choice import PolicyChoice, choose_policy
from grasp_core import registry, resources
from launch import LaunchContext

UR5 = load_cell("ur5")
CONFIG = resources.find("config")
KNOWN = ("highest_point", "mine", "push_grasp")


@pytest.fixture(autouse=True)
def _offered(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "names", lambda group: KNOWN)
    monkeypatch.setenv("GRASP_MODELS_DIR", str(tmp_path))
    # Only the folder named by the variable is looked into, whatever has been trained in this checkout.
    folders = {"models": ("no_package", "GRASP_MODELS_DIR"), "config": resources.FOLDERS["config"]}
    monkeypatch.setenv("GRASP_CONFIG_DIR", str(CONFIG))
    monkeypatch.setattr("grasp_core.resources.FOLDERS", folders)
    monkeypatch.setattr("grasp_core.resources.__file__", str(tmp_path / "resources.py"))


def test_without_a_checkpoint_the_scripted_baseline_decides():
    chosen = choose_policy(UR5, "auto", "")
    assert (chosen.policy, chosen.checkpoint) == ("highest_point", "")
    assert "no checkpoint of push_grasp" in chosen.why


def test_with_a_checkpoint_the_learned_policy_decides(tmp_path):
    (tmp_path / "push_grasp").mkdir()
    chosen = choose_policy(UR5, "auto", "")
    assert (chosen.policy, chosen.checkpoint) == ("push_grasp", str(tmp_path / "push_grasp"))


def test_a_checkpoint_may_be_a_path_or_a_name_in_models(tmp_path):
    (tmp_path / "v2").mkdir()
    assert choose_policy(UR5, "push_grasp", "v2").checkpoint == str(tmp_path / "v2")
    assert choose_policy(UR5, "auto", str(tmp_path / "v2")).policy == "push_grasp"
    with pytest.raises(ValueError, match="there is no checkpoint 'v3'"):
        choose_policy(UR5, "push_grasp", "v3")


def test_a_policy_by_name_or_none():
    assert choose_policy(UR5, "mine", "") == PolicyChoice("mine", "", "policy mine was asked for")
    assert choose_policy(UR5, "none", "").policy == "none"


def test_an_untrained_learned_policy_does_not_move_a_robot():
    with pytest.raises(ValueError, match="untrained it must not move a robot"):
        choose_policy(UR5, "push_grasp", "")


def test_an_unknown_policy_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="there is highest_point, mine, push_grasp, auto, none"):
        choose_policy(UR5, "push_gasp", "")


def test_a_cell_without_any_policy_runs_bare(monkeypatch):
    monkeypatch.setattr(registry, "names", lambda group: ())
    chosen = choose_policy(UR5, "auto", "")
    assert chosen.policy == "none"
    assert "no policy yet" in chosen.why


def context_with(**given):
    context = LaunchContext()
    defaults = {name: ARGUMENTS[name].default for name in CELL_ARGUMENTS}
    context.launch_configurations.update(defaults | {"scene": "drop"} | given)
    return context


@pytest.fixture
def settled():
    """What the arguments are settled to."""

    def settle(**given):
        context = context_with(**given)
        for action in check_arguments(context, "ur5"):
            action.visit(context)
        return context.launch_configurations

    return settle


def test_what_is_left_open_is_settled_for_simulation(settled, tmp_path):
    found = settled(record_dir=str(tmp_path / "rec"))
    assert (found["episodes"], found["judge"], found["speed_scale"]) == ("1", "simulator", "1.0")
    assert found["policy"] == "highest_point"
    assert found["run_dir"].startswith(str(tmp_path / "rec"))
    assert found["run_dir"].endswith("_ur5_highest_point")
    assert float(found["sigterm_timeout"]) > 5.0


def test_what_is_given_is_kept(settled):
    found = settled(episodes="3", judge="gripper", speed_scale="0.5", policy="highest_point", sigterm_timeout="2")
    assert found["sigterm_timeout"] == "2"
    assert (found["episodes"], found["judge"], found["speed_scale"], found["policy"]) == (
        "3",
        "gripper",
        "0.5",
        "highest_point",
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"episodes": "-1"}, "episodes is -1"),
        ({"episodes": "many"}, "whole number"),
        ({"policy": "moon"}, "there is no policy 'moon'; there is highest_point"),
        ({"checkpoint": "moon"}, "there is no checkpoint 'moon'"),
        ({"hardware": "real", "robot_ip": "1.2.3.4", "judge": "simulator"}, "needs a simulated world"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_choices(settled, given, words):
    with pytest.raises(LaunchArgumentError, match=words):
        settled(**given)
