# SPDX-License-Identifier: Apache-2.0
"""The head of ``patch_grasp`` that is shown patches turned into their grasp: bars that hold only across."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.nn import functional

from grasp_core.config import ConfigError
from grasp_policies.heightmaps.cutouts import batch_channels
from grasp_policies.heightmaps.state import State
from grasp_policies.patch_grasp import checkpoint
from grasp_policies.patch_grasp.dataset import Augmentation, Patches, build, shown
from grasp_policies.patch_grasp.learner import Learner, LearnSettings, scores_of
from grasp_policies.patch_grasp.network import PatchNetwork
from grasp_policies.patch_grasp.scoring import Scorer, aligned_patches, between, evenly, reranked
from grasp_policies.patch_grasp.settings import BINS, ActingSettings, GraspSettings, NetworkSettings, PatchGraspConfig
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
    # A fresh network hardly tells patches apart: only exact numbers show that it does.
    fresh, patches = PatchNetwork(CONFIG).eval().double(), torch.rand(1, 5, 25, 37, dtype=torch.float64)
    with torch.no_grad():
        for axes in ((2,), (3,), (2, 3)):
            torch.testing.assert_close(fresh.chances(patches.flip(axes)), fresh.chances(patches))
        assert float((fresh.chances(patches.flip(2), 1) - fresh.chances(patches, 1)).abs()) > 1e-12


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


@pytest.mark.parametrize("binned", [False, True])
def test_neighbours_are_looked_at_from_near_the_chosen_angle(network: PatchNetwork, binned: bool) -> None:
    config = toy_config(BINNED) if binned else CONFIG
    scorer = Scorer(PatchNetwork(config) if binned else network, config)
    state, rng = bar(config, 0.7), np.random.default_rng(0)
    pixels, numbers = 80 + rng.integers(-4, 5, (70, 2)), rng.integers(BINS, size=70)
    every, near = scorer.chances(state, pixels, views=1), scorer.near(state, pixels, numbers)
    if binned:
        np.testing.assert_array_equal(near, every)
        return
    beside = (numbers[:, None] + np.arange(-2, 3)) % BINS
    inside = (beside == numbers[:, None] + np.arange(-2, 3)).all(axis=1)
    wanted = np.take_along_axis(every, beside, axis=1)
    np.testing.assert_allclose(near[inside], wanted[inside], atol=1e-5)
    # Half a circle on it is the same grasp, seen from behind; the network knows that only nearly from one view.
    np.testing.assert_allclose(near, wanted, atol=0.35)
    along = Choice(80, 80, angle_of(4))
    across = Choice(80, 80, angle_of(13))
    found = reranked([(along, 0.5), (across, 0.5)], state, scorer, ActingSettings(), rng)
    assert found[0][0] == across
    assert found[1][1] < 0.3, "what holds the other way round says nothing of a grasp"


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
        aligned_patches(images, evenly(6), (CONFIG.rows_px, CONFIG.patch_px)), wanted, atol=1e-4, rtol=0.0
    )


# The card of a checkpoint of format 1, word for word but for the width and results.
OLD_CARD = """
format: 1
policy: patch_grasp
config:
  map:
    corner_m: [0.393, -0.252, 0.74]
    pixels: 168
    pixel_m: 0.003
    max_height_m: 0.25
    camera: head_camera
  patch_px: 37
  object_height_m: 0.006
  colour_distance: 40.0
  grasp:
    low_m: [0.525, -0.195]
    high_m: [0.765, 0.195]
    arms:
    - {arm: left, low_m: [0.525, 0.0], high_m: [0.765, 0.195]}
    - {arm: right, low_m: [0.525, -0.195], high_m: [0.765, 0.0]}
    depth_m: 0.03
    floor_m: 0.004
    tip_beyond_m: 0.0125
    approach_m: 0.25
  network:
    trunk: small
    channels: 4
    use_depth: true
    dropout: 0.3
recipe: patch_grasp
seed: 0
"""


def old_weights(rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Tensors as format 1 named and shaped them: five convolutions, two fully connected layers."""
    found = {}
    for layer, shape in enumerate([(4, 5, 5, 5), (8, 4, 3, 3), (8, 8, 3, 3), (12, 8, 3, 3), (12, 12, 3, 3)]):
        found[f"trunk.{layer}.0.weight"] = rng.normal(0.0, np.sqrt(2.0 / np.prod(shape[1:])), shape)
        for name, low, high in (
            ("weight", 0.8, 1.2), ("bias", -0.1, 0.1), ("running_mean", -0.1, 0.1), ("running_var", 0.5, 1.5)
        ):  # fmt: skip
            found[f"trunk.{layer}.1.{name}"] = rng.uniform(low, high, shape[0])
    for name, shape in (("trunk.7", (24, 300)), ("head", (36, 24))):
        found[f"{name}.weight"] = rng.normal(0.0, np.sqrt(2.0 / shape[1]), shape)
        found[f"{name}.bias"] = rng.uniform(-0.1, 0.1, shape[0])
    tensors = {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in found.items()}
    return tensors | {f"trunk.{layer}.1.num_batches_tracked": torch.tensor(9) for layer in range(5)}


def old_answers(w: dict[str, torch.Tensor], patches: torch.Tensor) -> torch.Tensor:
    """What format 1 meant: chances [n, 18] of upright patches float32 [n, 5, 37, 37]."""
    x = patches
    for layer, (stride, padding) in enumerate([(2, 2), (2, 1), (1, 1), (2, 1), (1, 1)]):
        x = functional.conv2d(x, w[f"trunk.{layer}.0.weight"], None, stride, padding)
        norm = [w[f"trunk.{layer}.1.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
        x = functional.batch_norm(x, *norm).relu()
    x = functional.linear(x.flatten(1), w["trunk.7.weight"], w["trunk.7.bias"]).relu()
    return functional.linear(x, w["head.weight"], w["head.bias"]).view(-1, BINS, 2).softmax(dim=-1)[..., 1]


@pytest.mark.parametrize("named", [True, False])
def test_checkpoints_of_format_1_still_answer_as_they_did(tmp_path: Path, named: bool) -> None:
    """``named``: the card says which trunk it is, as later ones of the format did."""
    weights = old_weights(np.random.default_rng(0))
    save_file(weights, tmp_path / "weights.safetensors")
    card = OLD_CARD if named else OLD_CARD.replace("    trunk: small\n", "")
    (tmp_path / "card.yaml").write_text(card, encoding="utf-8")
    network, config = checkpoint.load(tmp_path)
    assert (config.network.head, config.network.heights, config.rows_px) == ("bins", "table", 37)
    patches = torch.rand(3, 5, 37, 37)
    with torch.no_grad():
        torch.testing.assert_close(network.chances(patches), old_answers(weights, patches))
    # What it is shown of a table: heights above the table in units of 5 cm, what was seen, colours.
    state = bar(config, 0.4)
    height, rgb = windows(state, np.array([[80, 83]]), 37)
    shown_then = batch_channels(height, rgb)
    assert float(shown_then[0, 0].max()) == pytest.approx(0.8)
    found = Scorer(network, config).chances(state, np.array([[80, 83]]))
    np.testing.assert_allclose(found, old_answers(weights, shown_then).numpy(), atol=1e-5)
    # Tries that were taken up for another network are shown to this one as it knows them.
    data, own = tries_at(CONFIG, [0.2], [1.0]), tries_at(config, [0.2], [1.0])
    np.testing.assert_allclose(scores_of(network, data), scores_of(network, own))


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="would see nothing"):
        NetworkSettings.from_mapping({"use_depth": False, "use_colour": False}, "network")
    with pytest.raises(ConfigError, match=r"network\.head is 'both'"):
        PatchGraspConfig.from_mapping({"network": {"head": "both"}}, "policy")
    with pytest.raises(ConfigError, match="at most patch_px, 37"):
        PatchGraspConfig.from_mapping({"network": {"across_px": 39}}, "policy")
    with pytest.raises(ConfigError, match=r"network.across_px is 24: an odd number of pixels"):
        PatchGraspConfig.from_mapping({"network": {"across_px": 24}}, "policy")
    for network in ({"head": "bins"}, {"trunk": "alexnet"}):
        with pytest.raises(ConfigError, match=r"patch_px is 36: an odd number of pixels"):
            PatchGraspConfig.from_mapping({"patch_px": 36, "network": network}, "policy")
        # Where nothing is as narrow as that, it does not matter.
        assert PatchGraspConfig.from_mapping({"patch_px": 21, "network": network}).rows_px == 21


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
