# SPDX-License-Identifier: Apache-2.0
"""Supervised learning stage by stage: what was collected last counts more, the network goes on from where it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.metrics import roc_auc_score

from grasp_core.config import Config, ConfigError
from grasp_policies.devices import torch_device
from grasp_policies.patch_grasp import checkpoint
from grasp_policies.patch_grasp.dataset import Augmentation, Episodes, Patches, build
from grasp_policies.patch_grasp.network import PatchNetwork, masked_loss
from grasp_policies.patch_grasp.settings import PatchGraspConfig

# Every this many-th episode is kept aside to measure on.
HELD_OUT_EVERY = 10


class LearnSettings(Config):
    """How the network learns."""

    optimiser: Literal["adam", "sgd"] = "adam"
    """``sgd`` has momentum 0.9 (the paper does not say; its rates suit it)."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    """In the first stage (paper: 0.01)."""
    finetune_rate: Annotated[float, Field(gt=0.0)] = 3e-4
    """In later stages (paper: 0.001)."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-3
    """L2 penalty."""
    batch: Annotated[int, Field(ge=2)] = 128
    """Tries an update."""
    epochs: Annotated[float, Field(gt=0.0)] = 20.0
    """Passes over the data in the first stage (paper: 20)."""
    finetune_epochs: Annotated[float, Field(gt=0.0)] = 5.0
    """Passes in later stages (paper: 5)."""
    new_data_factor: Annotated[float, Field(gt=0.0)] = 3.0
    """How much tries of later stages count (paper: 3)."""
    aggregate: bool = True
    """Learn later stages from all tries; without, from those of the stage alone (ablation)."""
    positive_share: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Draw so many successes; none draws as they come (paper)."""
    rotate: bool = True
    """Turn patches at random and relabel the angle (paper); aligned ones by half a circle."""
    mirror: bool = True
    """Reflect patches at random and relabel the angle (paper: no)."""
    shift_m: Annotated[float, Field(ge=0.0)] = 0.0012
    """Standard deviation of a patch's middle, along each axis (paper: 0)."""
    turn_rad: Annotated[float, Field(ge=0.0)] = 0.05
    """Standard deviation of the angle that an aligned patch is turned to (paper: no such patch)."""
    tip_noise_m: Annotated[float, Field(ge=0.0)] = 0.002
    """Standard deviation of the height that heights are told from."""
    colour_change: bool = True
    """Swap and stretch colours at random (paper: no)."""
    height_noise_m: Annotated[float, Field(ge=0.0)] = 0.001
    """Standard deviation of noise on heights."""
    threads: Annotated[int, Field(ge=1)] = 2
    """CPU threads."""


class Learner:
    """One network, its optimiser and the tries.

    Args:
        config: map, patches, network.
        settings: how to learn.
        seed: of weights, batches and augmentation.
    """

    def __init__(self, config: PatchGraspConfig, settings: LearnSettings, seed: int, device: str = "cpu") -> None:
        torch.set_num_threads(settings.threads)
        torch.manual_seed(seed)
        self.config, self.settings, self.seed = config, settings, seed
        self._device = torch_device(device)
        self.network = PatchNetwork(config).to(self._device).eval()
        self._stage, self._planned = -1, 1
        self._optimiser = self._make_optimiser(settings.learning_rate)
        self._data: Patches | None = None
        self._weights: NDArray[np.float64] = np.zeros(0)
        self._held_out: NDArray[np.int64] = np.zeros(0, np.int64)

    def begin_stage(self, episodes: Episodes, index: int, epochs: float | None = None) -> int:
        """Take all tries up; returns the number of updates planned.

        Args:
            episodes: of this and earlier stages.
            index: number of the stage.
            epochs: passes over the data; none for the settings' number.

        Raises:
            ValueError: there are no tries.
        """
        settings = self.settings
        self._data = build(episodes, self.config)
        self._held_out = kept_aside(self._data)
        self._weights = draw_weights(self._data, settings)
        self._weights[self._held_out] = 0.0
        if not self._weights.any():
            raise ValueError("all tries are kept aside to measure on; collect more than a few episodes")
        if index != self._stage:
            self._optimiser = self._make_optimiser(settings.finetune_rate if index else settings.learning_rate)
            self._stage = index
        passes = epochs or (settings.finetune_epochs if index else settings.epochs)
        self._planned = max(1, round(passes * int((self._weights > 0).sum()) / settings.batch))
        return self._planned

    def update(self, step: int) -> dict[str, float]:
        """One update; what it draws depends on seed, stage and step alone."""
        assert self._data is not None
        settings = self.settings
        base = settings.finetune_rate if self._stage else settings.learning_rate
        # Updates beyond the plan go on at a hundredth: at the end of the half cosine they would change nothing.
        rate = base * (0.5 * (1.0 + np.cos(np.pi * step / self._planned)) if step < self._planned else 0.01)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        rng = np.random.default_rng((self.seed, self._stage, step))
        torch.manual_seed(int(rng.integers(2**31)))
        index = rng.choice(len(self._data), settings.batch, p=self._weights / self._weights.sum())
        how = Augmentation(
            settings.rotate,
            settings.mirror,
            settings.colour_change,
            settings.height_noise_m,
            settings.tip_noise_m,
            settings.shift_m / self.config.map.pixel_m,
            settings.turn_rad,
        )
        patches, bins, success = (t.to(self._device) for t in self._data.batch(index, rng, how))
        self.network.train()
        self._optimiser.zero_grad()
        loss = masked_loss(self.network(patches), bins, success)
        loss.backward()
        self._optimiser.step()
        self.network.eval()
        return {"loss": float(loss.detach()), "learning_rate": rate}

    def measure(self) -> dict[str, float]:
        """How well the tries that were kept aside are told apart.

        ``auc`` needs no threshold; that of ``balanced_accuracy`` is the best for these very tries, which flatters it.
        """
        assert self._data is not None
        success = self._data.success[self._held_out]
        if not len(success) or success.all() or not success.any():
            return {}
        scores = scores_of(self.network, self._data.part(self._held_out), str(self._device))
        best = np.argsort(-scores)[: max(1, len(scores) // 10)]
        return {
            "auc": float(roc_auc_score(success, scores)),
            "balanced_accuracy": balanced_accuracy(scores, success, best_threshold(scores, success)),
            "rate": float(success.mean()),
            "rate_best_tenth": float(success[best].mean()),
        }

    def state(self) -> dict[str, Any]:
        """Everything that a later continuation needs."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "stage": self._stage,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Back to where ``state`` was taken; ``begin_stage`` comes before, as it did then."""
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._stage = int(state["stage"])

    def save_policy(self, folder: Path, card: Mapping[str, Any]) -> None:
        """Write the network as a checkpoint that the policy loads."""
        checkpoint.save(folder, self.network, self.config, card)

    def _make_optimiser(self, rate: float) -> torch.optim.Optimizer:
        settings = self.settings
        if settings.optimiser == "sgd":
            return torch.optim.SGD(self.network.parameters(), rate, 0.9, weight_decay=settings.weight_decay)
        return torch.optim.AdamW(self.network.parameters(), rate, weight_decay=settings.weight_decay)


def draw_weights(data: Patches, settings: LearnSettings) -> NDArray[np.float64]:
    """How likely each try is drawn, float64 [n]: D_k = {D_(k-1), factor x d_k} (section III-D)."""
    weights = np.where(data.stage > 0, settings.new_data_factor, 1.0)
    if not settings.aggregate:
        weights *= data.stage == data.stage.max()
    if settings.positive_share is not None:
        for answer, share in ((True, settings.positive_share), (False, 1.0 - settings.positive_share)):
            mine = (data.success == answer) & (weights > 0)
            if mine.any():
                weights[mine] *= share / weights[mine].sum()
    return weights


@torch.no_grad()
def scores_of(network: PatchNetwork, data: Patches, device: str = "cpu") -> NDArray[np.float32]:
    """Chance of success that a network gives to tries at the angle that was tried, float32 [n]."""
    network.eval()
    data = data.shown_to(network.config)
    found = []
    for begin in range(0, len(data), 256):
        index = np.arange(begin, min(begin + 256, len(data)))
        patches, bins, _ = data.batch(index)
        found.append(network.chances(patches.to(device)).cpu()[torch.arange(len(index)), bins].numpy())
    return np.concatenate(found)


def balanced_accuracy(scores: NDArray[np.float32], success: NDArray[np.bool_], threshold: float) -> float:
    """Mean of both classes' accuracies: that of a class-balanced resample, without its chance."""
    said = scores >= threshold
    return 0.5 * float(said[success].mean() + (~said[~success]).mean())


def kept_aside(data: Patches) -> NDArray[np.int64]:
    """Indices [m] of the tries that no stage learns from: every tenth episode."""
    return np.flatnonzero(data.episode % HELD_OUT_EVERY == HELD_OUT_EVERY - 1)


def random_aside(data: Patches) -> Patches:
    """The random tries that no stage learns from.

    Raises:
        ConfigError: they do not hold both answers, as of a run with few tables.
    """
    aside = data.part(kept_aside(data))
    aside = aside.part(np.flatnonzero(aside.stage == 0))
    held = int(aside.success.sum())
    if held in (0, len(aside)):
        raise ConfigError(
            f"{held} of {len(aside)} random tries that are kept aside held; a threshold needs both answers. Every "
            f"{HELD_OUT_EVERY}th table is kept aside: some 500 random tries are enough"
        )
    return aside


def threshold_for(network: PatchNetwork, data: Patches, device: str = "cpu") -> float:
    """The score above which a network says yes, chosen on the random tries that were kept aside.

    Tries of later stages are drawn by networks and so are unlike those that a test is made of.

    Args:
        network: to be asked.
        data: the tries that it learned from, with those kept aside.
        device: torch device.

    Raises:
        ConfigError: too few tries are kept aside.
    """
    aside = random_aside(data)
    return best_threshold(scores_of(network, aside, device), aside.success)


def best_threshold(scores: NDArray[np.float32], success: NDArray[np.bool_]) -> float:
    """Where scores tell tries apart best by balanced accuracy; for tries that were kept aside, never for a test.

    The rate of success that a network learned at changes by stage, so no fixed threshold is fair to all of them.

    Raises:
        ValueError: the tries do not hold both answers.
    """
    if not success.any() or success.all():
        raise ValueError(f"{int(success.sum())} of {len(success)} tries succeeded; both answers are needed")
    options = np.unique(np.quantile(scores, np.linspace(0.02, 0.98, 97)))
    return float(max(options, key=lambda option: balanced_accuracy(scores, success, float(option))))
