# SPDX-License-Identifier: Apache-2.0
"""``patch_grasp``: patches, angles, the masked loss, drawing, neighbourhoods, learning a toy, acting in it."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from grasp_core.actions import Grasp, Stop
from grasp_core.config import ConfigError
from grasp_core.policy import Goal
from grasp_policies.heightmaps.state import State
from grasp_policies.patch_grasp import checkpoint
from grasp_policies.patch_grasp.behaviour import BehaviourSettings
from grasp_policies.patch_grasp.dataset import Augmentation, Patches, build
from grasp_policies.patch_grasp.learner import (
    Learner,
    LearnSettings,
    draw_weights,
    kept_aside,
    scores_of,
    threshold_for,
)
from grasp_policies.patch_grasp.network import PatchNetwork, masked_loss
from grasp_policies.patch_grasp.policy import FACTORY, PatchGraspPolicy
from grasp_policies.patch_grasp.recipe import RECIPE, PatchGraspSettings
from grasp_policies.patch_grasp.scoring import Weighed, importance, ranked, reranked
from grasp_policies.patch_grasp.settings import BINS, ActingSettings, NetworkSettings, PatchGraspConfig
from grasp_policies.patch_grasp.table import angle_of, arm_for, at_random, bin_of, foreground, region

from .patch_grasp_toy import BINNED, ToyCell, ToyEpisodes, bar, holds, toy_config

PLAIN = Augmentation(rotate=False, mirror=False, colour=False, height_noise_m=0.0)


@given(st.floats(-20.0, 20.0), st.integers(-5, 5))
def test_angles_wrap_at_half_a_circle(angle: float, turns: int) -> None:
    number = int(bin_of(np.array(angle)))
    assert 0 <= number < BINS
    difference = (angle - angle_of(number)) % np.pi
    assert min(difference, np.pi - difference) <= np.pi / (2 * BINS) + 1e-9
    assert int(bin_of(np.array(angle_of(number) + turns * np.pi))) == number


def test_the_papers_network_has_the_papers_parameters() -> None:
    network = PatchNetwork(PatchGraspConfig(network=NetworkSettings(trunk="alexnet", head="bins", use_depth=False)))
    counts = {}
    for layer in network.trunk:
        kind = type(layer).__name__
        counts.setdefault(kind, []).append(sum(p.numel() for p in layer.parameters()))
    assert sum(counts["Conv2d"]) == 2_334_080
    assert counts["Linear"] == [37_752_832, 4_195_328]
    assert sum(p.numel() for p in network.head.parameters()) == 36_900
    with torch.no_grad():
        assert network.eval().chances(torch.rand(1, 5, 37, 37)).shape == (1, BINS)


@pytest.mark.parametrize("use_depth", [True, False])
def test_without_depth_heights_do_not_matter(use_depth: bool) -> None:
    torch.manual_seed(0)
    network = PatchNetwork(PatchGraspConfig(network=NetworkSettings(channels=8, use_depth=use_depth))).eval()
    patches = torch.rand(2, 5, 25, 37)
    other = torch.cat([patches[:, :1] + 1.0, patches[:, 1:]], dim=1)
    with torch.no_grad():
        assert torch.allclose(network.chances(patches), network.chances(other)) is not use_depth


def test_the_loss_touches_the_tried_angle_alone() -> None:
    logits = torch.zeros(2, BINS, 2, requires_grad=True)
    masked_loss(logits, torch.tensor([3, 17]), torch.tensor([1, 0])).backward()
    touched = logits.grad.abs().sum(dim=-1) > 0
    assert touched.nonzero().tolist() == [[0, 3], [1, 17]]
    assert logits.grad[0, 3, 1] < 0 < logits.grad[1, 17, 1]


def test_a_turned_patch_keeps_its_grasp() -> None:
    """The label of a turned or mirrored patch is right for what the patch shows."""
    config = toy_config(BINNED)
    data = build(ToyEpisodes(config, 3), config)
    index = np.arange(len(data))
    patches, bins, success = data.batch(index, np.random.default_rng(1), Augmentation(colour=False, height_noise_m=0.0))
    offsets = np.arange(config.patch_px) - config.patch_px // 2
    disagreeing = 0
    for patch, number, held in zip(patches.numpy(), bins.numpy(), success.numpy(), strict=True):
        v, u = np.meshgrid(offsets, offsets, indexing="ij")
        weight = patch[0] * (np.hypot(u, v) < 12)
        u, v = u - (weight * u).sum() / weight.sum(), v - (weight * v).sum() / weight.sum()
        lies = 0.5 * np.arctan2(2 * (weight * u * v).sum(), (weight * (u * u - v * v)).sum())
        disagreeing += holds(float(lies), angle_of(int(number))) != bool(held)
    # An angle is rounded by up to 5 degrees: tries at the border may fall to the other side.
    assert disagreeing / len(index) < 0.15


def test_patches_as_they_are_show_what_was_seen() -> None:
    config = toy_config(BINNED)
    data = build(ToyEpisodes(config, 1), config)
    patches, bins, _ = data.batch(np.arange(3), np.random.default_rng(0), PLAIN)
    margin = (config.window_px - config.patch_px) // 2
    inner = data.height[:3, margin:-margin, margin:-margin] * 1e-4 / 0.05
    np.testing.assert_allclose(patches[:, 0].numpy(), inner, atol=1e-4)
    np.testing.assert_array_equal(bins.numpy(), bin_of(data.angle[:3]))


def test_the_region_covers_the_object_and_nothing_else() -> None:
    config = toy_config()
    state = bar(config, 0.4)
    raised = state.height > 0
    np.testing.assert_array_equal(foreground(state, config), raised)
    np.testing.assert_array_equal(region(state, config), raised)
    off = bar(config, 0.4, (10.0, 10.0))
    assert not region(off, config).any()
    rng = np.random.default_rng(0)
    choices = [at_random(raised, config, rng) for _ in range(200)]
    assert all(raised[c.row, c.column] for c in choices)
    assert set(Counter(c.bin for c in choices)) == set(range(BINS))
    assert at_random(np.zeros_like(raised), config, rng) is None


def test_each_arm_serves_its_side() -> None:
    grasp = PatchGraspConfig().grasp
    assert arm_for(np.array([0.60, 0.10, 0.8]), grasp) == "left"
    assert arm_for(np.array([0.60, -0.10, 0.8]), grasp) == "right"
    assert arm_for(np.array([0.90, 0.10, 0.8]), grasp) == "right"


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_tries_are_drawn_by_their_score(exponent: float) -> None:
    rng = np.random.default_rng(3)
    chances = rng.uniform(0.05, 1.0, (4, BINS)).astype(np.float32)
    weighed = Weighed(np.arange(8).reshape(4, 2), chances)
    drawn = np.zeros((4, BINS))
    for _ in range(6000):
        choice, score = importance(weighed, rng, exponent)
        drawn[choice.row // 2, choice.bin] += 1
        assert score == pytest.approx(float(chances[choice.row // 2, choice.bin]))
    expected = chances.astype(np.float64) ** exponent
    expected *= 6000 / expected.sum()
    # Chi-square with 71 degrees of freedom: 99.99 % lie below 126.
    assert ((drawn - expected) ** 2 / expected).sum() < 126.0


def test_few_are_kept_where_few_are_asked_for() -> None:
    chances = np.full((3, BINS), 0.5, np.float32)
    chances[1, 4] = 0.9
    choice, _ = importance(Weighed(np.zeros((3, 2), np.int64), chances), np.random.default_rng(0), 1.0, keep=1)
    assert choice.bin == 4


class FakeScorer:
    """Scores by place: a spike of one pixel and a plateau."""

    def __init__(self, config: PatchGraspConfig) -> None:
        self.config = config

    def chances(self, state: object, pixels: np.ndarray, views: int | None = None) -> np.ndarray:
        spike = np.all(pixels == (40, 40), axis=1)
        plateau = np.hypot(*(pixels - (100, 100)).T) < 8
        return np.repeat(np.where(spike, 0.95, np.where(plateau, 0.8, 0.1))[:, None], BINS, axis=1).astype(np.float32)

    def near(self, state: object, pixels: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return self.chances(state, pixels)[:, :5]


def test_a_plateau_is_better_than_a_spike() -> None:
    config = toy_config()
    scorer = FakeScorer(config)
    pixels = np.array([[40, 40], [100, 100], [10, 10]])
    order = ranked(Weighed(pixels, scorer.chances(None, pixels)))
    assert (order[0][0].row, order[0][0].column) == (40, 40)
    best = reranked(order, bar(config, 0.0), scorer, ActingSettings(), np.random.default_rng(0))
    assert (best[0][0].row, best[0][0].column) == (100, 100)
    assert best[0][1] == pytest.approx(0.8, abs=1e-6)


def test_later_stages_count_three_times() -> None:
    config = toy_config()
    data = build(ToyEpisodes(config, 4, stages=2), config)
    np.testing.assert_array_equal(np.unique(data.stage), [0, 1])
    weights = draw_weights(data, LearnSettings())
    np.testing.assert_array_equal(weights, np.where(data.stage == 1, 3.0, 1.0))
    alone = draw_weights(data, LearnSettings(aggregate=False))
    assert not alone[data.stage == 0].any()
    assert alone[data.stage == 1].all()
    balanced = draw_weights(data, LearnSettings(positive_share=0.5))
    assert balanced[data.success].sum() == pytest.approx(balanced[~data.success].sum())


@pytest.fixture(scope="module", params=["aligned", "bins"])
def learned(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A checkpoint that has learned the toy."""
    config = toy_config(BINNED if request.param == "bins" else None)
    settings = LearnSettings(epochs=10.0, threads=1, batch=32, colour_change=False, learning_rate=3e-3)
    learner = Learner(config, settings, seed=0)
    planned = learner.begin_stage(ToyEpisodes(config, 50), 0)
    for step in range(planned):
        learner.update(step)
    assert learner.measure()["balanced_accuracy"] > 0.8
    fresh = build(ToyEpisodes(config, 10, seed=9), config)
    scores = scores_of(learner.network, fresh)
    assert scores[fresh.success].mean() > scores[~fresh.success].mean() + 0.4
    folder = tmp_path_factory.mktemp("toy") / "policy"
    learner.save_policy(folder, {"updates": planned})
    return folder


def test_the_policy_clears_the_toy_table(learned: Path) -> None:
    cell = ToyCell(toy_config())
    for cell.turn in (0.2, 1.0, 2.2):
        policy = FACTORY.load(learned, "cpu", {"patches": 100})
        policy.reset(Goal(), 0)
        observation = cell.reset("toy", 0)
        decision = policy.act(observation)
        assert isinstance(decision.action, Grasp)
        assert decision.action.approach_m == 0.25
        assert decision.candidates
        assert {"height", "colour", "region", "grasp_chance"} == set(decision.maps)
        assert cell.execute(decision.action).success
        assert isinstance(policy.act(cell.observe()).action, Stop)


class OnePeak:
    """Says that one patch is best, and the others less so with their distance."""

    def __init__(self, row: int, column: int, angle: int) -> None:
        self._peak, self._angle = np.array([row, column]), angle

    def sample(self, state: State, mask: NDArray[np.bool_], count: int, rng: np.random.Generator) -> Weighed:
        pixels = np.argwhere(mask)
        near = 1.0 / (1.0 + np.hypot(*(pixels - self._peak).T))
        off = np.abs(np.arange(BINS) - self._angle)
        return Weighed(pixels, (near[:, None] / (1.0 + np.minimum(off, BINS - off))).astype(np.float32))


@pytest.mark.parametrize("patience", [0, 3])
def test_a_grasp_in_vain_is_not_repeated(patience: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = toy_config()
    policy = PatchGraspPolicy(PatchNetwork(config), config, ActingSettings(rerank=False, patience=patience))
    monkeypatch.setattr(policy, "_scorer", OnePeak(80, 82, 4))
    policy.reset(Goal(), 0)
    cell = ToyCell(config)
    found = [policy.act(cell.observe()).action for _ in range(3 + 2)]
    assert all(isinstance(action, Grasp) for action in found)
    places = np.array([action.T_base_tcp[:2, 3] for action in found if isinstance(action, Grasp)])
    if patience == 0:
        assert (places == places[0]).all()
        return
    # The taken ones are kept in mind for three decisions; the fourth after it may be it again.
    for number, place in enumerate(places):
        apart = np.linalg.norm(places[max(0, number - 3) : number] - place, axis=1)
        assert (apart >= ActingSettings().avoid_m - 1e-9).all()


def test_collecting_at_random_and_by_the_network(learned: Path) -> None:
    settings = PatchGraspSettings(policy=toy_config())
    rates = []
    for options, folder in (({}, None), ({"random_share": 0.0, "patches": 60, "exponent": 3.0}, learned)):
        behaviour = RECIPE.behaviour(settings, options, folder, "cpu")
        episodes = [behaviour.run_episode(ToyCell(settings.policy), "toy", seed, 4) for seed in range(15)]
        for episode in episodes:
            for name, (shape, dtype) in RECIPE.fields(settings).items():
                array = episode.fields[name]
                assert array.shape == (episode.info["tries"], *shape)
                assert array.dtype == np.dtype(dtype)
            assert episode.info["held_unnoticed"] == episode.info["felt_not_held"] == 0
        tries = sum(e.info["tries"] for e in episodes)
        rates.append(sum(e.info["successes"] for e in episodes) / tries)
    assert rates[1] > rates[0] + 0.2


def test_an_episode_is_the_same_again() -> None:
    settings = PatchGraspSettings(policy=toy_config())
    one, two = (
        RECIPE.behaviour(settings, {}, None, "cpu").run_episode(ToyCell(settings.policy), "toy", 4, 3) for _ in "ab"
    )
    for name, values in one.fields.items():
        np.testing.assert_array_equal(values, two.fields[name])


def test_a_stopped_training_goes_on_the_same() -> None:
    config = toy_config()
    episodes = ToyEpisodes(config, 12)
    whole = Learner(config, LearnSettings(threads=1, batch=8), 0)
    whole.begin_stage(episodes, 0)
    whole.update(0)
    state = copy.deepcopy(whole.state())
    later = Learner(config, LearnSettings(threads=1, batch=8), 1)
    later.seed = 0
    later.begin_stage(episodes, 0)
    later.load_state(state)
    # The first update after it does not depend on what the optimiser remembers; what comes after it does.
    for step in (1, 2, 3):
        assert later.update(step)["loss"] == pytest.approx(whole.update(step)["loss"], rel=1e-5)


def test_tries_that_are_kept_aside_are_never_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    config = toy_config()
    episodes = ToyEpisodes(config, 40, stages=2)
    learner = Learner(config, LearnSettings(threads=1, batch=32), 0)
    learner.begin_stage(episodes, 1)
    data = build(episodes, config)
    aside = kept_aside(data)
    # Every tenth of 20 episodes of 20 tries, in both stages.
    assert len(aside) == 2 * 2 * 20
    assert set(np.unique(data.stage[aside])) == {0, 1}
    drawn: list[NDArray[np.int64]] = []
    batch = Patches.batch

    def watched(self: Patches, index: NDArray[np.int64], *others: Any) -> Any:
        drawn.append(index)
        return batch(self, index, *others)

    monkeypatch.setattr(Patches, "batch", watched)
    for step in range(30):
        learner.update(step)
    assert not set(np.concatenate(drawn)) & set(aside)
    assert len(np.unique(np.concatenate(drawn))) > 0.5 * len(data)


def test_the_threshold_comes_from_random_tries_that_were_kept_aside() -> None:
    config = toy_config()
    data, network = build(ToyEpisodes(config, 40, stages=2), config), PatchNetwork(config).eval()
    before = threshold_for(network, data)
    first_aside = kept_aside(data)[data.stage[kept_aside(data)] == 0]
    others = np.setdiff1d(np.arange(len(data)), first_aside)
    data.success[others] = ~data.success[others]
    data.height[others] = 0
    assert threshold_for(network, data) == before
    data.success[first_aside] = ~data.success[first_aside]
    assert threshold_for(network, data) != before
    with pytest.raises(ConfigError, match="0 of 0 random tries that are kept aside held"):
        threshold_for(network, build(ToyEpisodes(config, 9), config))


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="checkpoint to follow"):
        RECIPE.behaviour(PatchGraspSettings(), {"random_share": 0.5}, None, "cpu")
    with pytest.raises(ConfigError, match="random_share"):
        BehaviourSettings.from_mapping({"random_share": 2.0}, "behaviour")
    (tmp_path / "card.yaml").write_text("policy: push_grasp\nformat: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="expected patch_grasp"):
        checkpoint.load(tmp_path)
    config = toy_config()
    checkpoint.save(tmp_path, PatchNetwork(config), config, {})
    _network, loaded = checkpoint.load(tmp_path)
    assert loaded == config
    checkpoint.save(tmp_path, PatchNetwork(PatchGraspConfig()), config, {})
    with pytest.raises(ConfigError, match="does not fit"):
        checkpoint.load(tmp_path)
