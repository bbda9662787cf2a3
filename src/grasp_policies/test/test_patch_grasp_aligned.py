# SPDX-License-Identifier: Apache-2.0
"""The head of ``patch_grasp`` that is shown patches turned into their grasp: bars that hold only across."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.config import ConfigError
from grasp_policies.heightmaps.state import State
from grasp_policies.patch_grasp import checkpoint
from grasp_policies.patch_grasp.dataset import Augmentation, Patches, build, shown
from grasp_policies.patch_grasp.learner import Learner, LearnSettings, scores_of
from grasp_policies.patch_grasp.network import PatchNetwork
from grasp_policies.patch_grasp.scoring import Scorer, aligned_patches, between
from grasp_policies.patch_grasp.settings import BINS, GraspSettings, NetworkSettings, PatchGraspConfig
from grasp_policies.patch_grasp.table import Choice, angle_of, place_of, tips_m, windows

from .patch_grasp_toy import BINNED, ToyEpisodes, bar, holds, toy_config

CONFIG = toy_config()
HALF_TURN = Augmentation(colour=False, height_noise_m=0.0)
turns = st.floats(0.0, np.pi)


def tries_at(config: PatchGraspConfig, bars: list[float], angles: list[float]) -> Patches:
    """Tries at the middle of bars."""
    at = [windows(bar(config, turn), np.array([[80, 80]]), config.window_px) for turn in bars]
    count = len(bars)
    success = np.array([holds(turn, angle) for turn, angle in zip(bars, angles, strict=True)])
    return Patches(
        np.concatenate([height for height, _ in at]), np.concatenate([rgb for _, rgb in at]),
        np.array(angles, np.float32), success, np.zeros(count, np.int64), np.arange(count), config,
    )  # fmt: skip


@pytest.fixture(scope="module")
def network() -> PatchNetwork:
    """One that has learned bars in a few seconds."""
    own = LearnSettings(epochs=10.0, threads=1, batch=32, colour_change=False, learning_rate=3e-3)
    learner = Learner(CONFIG, own, seed=0)
    for step in range(learner.begin_stage(ToyEpisodes(CONFIG, 40), 0)):
        learner.update(step)
    return learner.network


def test_one_output_learns_all_angles(network: PatchNetwork) -> None:
    fresh = build(ToyEpisodes(CONFIG, 20, seed=9), CONFIG)
    said = scores_of(network, fresh) >= 0.5
    assert np.mean(said == fresh.success) > 0.9
    assert network(torch.zeros(3, 5, 25, 37)).shape == (3, 1, 2)


@settings(max_examples=20, deadline=None)
@given(turns, turns, turns)
def test_what_is_turned_as_a_whole_is_the_same_grasp(
    network: PatchNetwork, lies: float, angle: float, turn: float
) -> None:
    both = tries_at(CONFIG, [lies, lies + turn], [angle, (angle + turn) % np.pi])
    patches, outputs, _ = both.batch(np.arange(2))
    assert outputs.tolist() == [0, 0]
    # Bars are drawn in whole pixels, so that their borders differ a little.
    assert (patches[0, 0] - patches[1, 0]).abs().mean() < 0.1
    one, other = scores_of(network, both)
    # Near the border between both answers a pixel decides.
    off = abs((angle - lies) % np.pi - np.pi / 2)
    if abs(off - np.radians(25.0)) > np.radians(10.0):
        assert (one > 0.5) == (other > 0.5)


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_fingers_and_sides_may_be_swapped(seed: int) -> None:
    torch.manual_seed(seed)
    fresh, patches = PatchNetwork(CONFIG).eval(), torch.rand(1, 5, 25, 37)
    with torch.no_grad():
        for axes in ((2,), (3,), (2, 3)):
            torch.testing.assert_close(fresh.chances(patches.flip(axes)), fresh.chances(patches))
        assert float((fresh.chances(patches.flip(2), 1) - fresh.chances(patches, 1)).abs()) > 1e-6


@given(st.integers(350, 1500), st.integers(0, 900))
@settings(max_examples=25, deadline=None)
def test_heights_are_told_from_the_fingertips(top: int, raised: int) -> None:
    """What lies higher is the same grasp, as long as the fingertips stay above the floor."""
    heights = np.zeros((2, 55, 55), np.uint16)
    heights[:, 20:35, 10:45] = top
    heights[1] += np.uint16(raised)
    tips = tips_m(heights, CONFIG.grasp)
    assert tips[1] - tips[0] == pytest.approx(raised * 1e-4, abs=1e-6)
    seen = shown(heights, np.zeros((2, 55, 55, 3), np.uint8), tips, CONFIG)[:, 0]
    middle = seen[:, 27, 27]
    torch.testing.assert_close(middle[0], middle[1], atol=2e-5, rtol=0.0)
    assert float(middle[0]) == pytest.approx(CONFIG.grasp.depth_m / 0.05, abs=1e-4)
    assert float(seen.abs().max()) <= 0.04 / 0.05 + 1e-6
    state = State(heights[0], np.zeros((55, 55, 3), np.uint8))
    place = place_of(Choice(27, 27, 0.0), state, CONFIG)
    assert place[2] - CONFIG.map.corner_m[2] - CONFIG.grasp.tip_beyond_m == pytest.approx(tips[0], abs=1e-6)


def test_a_half_turn_and_a_mirror_keep_the_grasp_on_its_axis() -> None:
    lies = [0.3, 1.1, 2.4] * 5
    data = tries_at(CONFIG, lies, [turn + np.pi / 2 for turn in lies])
    patches, outputs, _ = data.batch(np.arange(15), np.random.default_rng(0), HALF_TURN)
    assert not outputs.any()
    # Grasped across: the bar stands along the rows of every patch, from edge to edge, whatever was drawn.
    on = patches[:, 0] > 0.2
    assert (on.any(dim=2).sum(dim=1) == CONFIG.rows_px).all()
    assert (on.any(dim=1).sum(dim=1) < 15).all()


def test_the_scorer_sees_what_was_learned_from(network: PatchNetwork) -> None:
    state = bar(CONFIG, 0.7)
    pixels = np.array([[80, 80], [78, 83]])
    found = Scorer(network, CONFIG).chances(state, pixels)
    height, rgb = windows(state, pixels, CONFIG.window_px)
    for number in (0, 4, 13):
        angle = np.full(2, angle_of(number), np.float32)
        data = Patches(height, rgb, angle, np.ones(2, bool), np.zeros(2, np.int64), np.arange(2), CONFIG)
        np.testing.assert_allclose(found[:, number], scores_of(network, data), atol=1e-4)
    assert holds(0.7, angle_of(int(found[0].argmax())))


def test_few_angles_first_find_the_same_grasp(network: PatchNetwork) -> None:
    state = bar(CONFIG, 1.9)
    mask = state.height > 0
    every, few = (
        Scorer(network, CONFIG, coarse_angles=k, fine_share=0.2).sample(state, mask, 60, np.random.default_rng(0))
        for k in (BINS, 6)
    )
    np.testing.assert_array_equal(every.pixels, few.pixels)
    assert few.chances.shape == (60, BINS)
    best = np.unravel_index(few.chances.argmax(), few.chances.shape)
    assert every.chances[best] > every.chances.max() - 0.02
    assert np.abs(every.chances - few.chances).mean() < 0.1


def test_between_angles_scores_are_interpolated() -> None:
    coarse = np.array([[0.0, 0.3, 0.6, 0.3, 0.0, 0.0]], np.float32)
    found = between(coarse)
    np.testing.assert_allclose(found[0, ::3], coarse[0])
    np.testing.assert_allclose(found[0, 1:3], [0.1, 0.2], atol=1e-6)
    # The last angle's neighbour is the first: a half circle closes.
    assert found[0, 17] == 0.0
    np.testing.assert_allclose(between(found), found)


def test_patches_at_all_angles_are_those_at_each() -> None:
    data = tries_at(CONFIG, [0.4] * 6, [angle_of(3 * k) for k in range(6)])
    wanted, _, _ = data.batch(np.arange(6))
    images = shown(data.height[:1], data.rgb[:1], tips_m(data.height[:1], CONFIG.grasp), CONFIG)
    torch.testing.assert_close(
        aligned_patches(images, 6, (CONFIG.rows_px, CONFIG.patch_px)), wanted, atol=1e-4, rtol=0.0
    )


def test_checkpoints_of_before_the_choice_still_load(tmp_path: Path) -> None:
    config = toy_config(BINNED)
    old = PatchNetwork(config).eval()
    checkpoint.save(tmp_path, old, config, {})
    card = tmp_path / "card.yaml"
    values = yaml.safe_load(card.read_text("utf-8"))
    for name in ("head", "heights", "height_limit_m", "views", "use_colour", "across_px"):
        del values["config"]["network"][name]
    card.write_text(yaml.safe_dump({**values, "format": 1}), encoding="utf-8")
    network, loaded = checkpoint.load(tmp_path)
    assert loaded.network.head == "bins"
    assert loaded.network.heights == "table"
    patches = torch.rand(2, 5, 37, 37)
    torch.testing.assert_close(network.chances(patches), old.chances(patches))
    # Tries that were taken up for another network are shown to this one as it knows them.
    data = tries_at(CONFIG, [0.2], [1.0])
    np.testing.assert_allclose(scores_of(network, data), scores_of(network, tries_at(config, [0.2], [1.0])))


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="would see nothing"):
        NetworkSettings.from_mapping({"use_depth": False, "use_colour": False}, "network")
    with pytest.raises(ConfigError, match=r"network\.head is 'both'"):
        PatchGraspConfig.from_mapping({"network": {"head": "both"}}, "policy")
    with pytest.raises(ConfigError, match="at most patch_px, 37"):
        PatchGraspConfig.from_mapping({"network": {"across_px": 39}}, "policy")
    with pytest.raises(ConfigError, match=r"across_px is 24: odd or even as patch_px, 37, is"):
        PatchGraspConfig.from_mapping({"network": {"across_px": 24}}, "policy")
    assert PatchGraspConfig.from_mapping({"patch_px": 36, "network": {"across_px": 24}}).rows_px == 24
    # Where nothing is as narrow as that, it does not matter.
    for network in ({"head": "bins"}, {"trunk": "alexnet"}):
        assert PatchGraspConfig.from_mapping({"patch_px": 20, "network": network}).rows_px == 20


def test_tries_are_not_shown_to_a_network_for_others() -> None:
    data = tries_at(CONFIG, [0.0], [0.0])
    with pytest.raises(ConfigError, match="patch_px is 41"):
        data.shown_to(toy_config(patch_px=41))
    with pytest.raises(ConfigError, match=r"map\.pixel_m is 0\.002: the tries were made with 0\.003"):
        data.shown_to(toy_config(map=CONFIG.map.with_values(pixel_m=0.002)))
    with pytest.raises(ConfigError, match=r"grasp\.depth_m is 0\.02: the tries were made with 0\.03"):
        data.shown_to(toy_config(grasp=GraspSettings(depth_m=0.02)))
    elsewhere = toy_config(grasp=GraspSettings(high_m=(0.7, 0.1)))
    assert data.shown_to(elsewhere).config == elsewhere
