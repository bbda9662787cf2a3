# SPDX-License-Identifier: Apache-2.0
"""Learning the two Q functions from tries on disk: y = r + gamma max Q(s', a'), at the executed pixel alone."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional

from grasp_core.config import Config
from grasp_policies.devices import torch_device
from grasp_policies.push_grasp import checkpoint
from grasp_policies.push_grasp.dataset import Augmentation, Dataset, Tries, build
from grasp_policies.push_grasp.network import OUTPUT_STRIDE
from grasp_policies.push_grasp.settings import GRASP, PRIMITIVES, PushGraspConfig
from grasp_policies.push_grasp.values import Evaluator

log = logging.getLogger(__name__)

# Every this many-th episode is kept aside to measure on.
HELD_OUT_EVERY = 10


class LearnSettings(Config):
    """How the networks learn."""

    optimiser: Literal["adam", "sgd"] = "adam"
    """``adam``; the paper: ``sgd`` with momentum 0.9."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    """At the beginning of a stage; falls to nothing along a half cosine over the planned updates, and is a hundredth
    of it beyond them (paper: 1e-4, constant)."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 2e-5
    """L2 penalty (the authors' code: 2e-5)."""
    batch: Annotated[int, Field(ge=2)] = 64
    """Tries of each primitive an update (paper: 1 and one replayed)."""
    epochs: Annotated[float, Field(gt=0.0)] = 12.0
    """Passes over the larger primitive's tries in a stage, on average where the newest are drawn oftener."""
    loss: Literal["cross_entropy", "huber"] = "cross_entropy"
    """Between Q / q_max and y / q_max; ``huber`` as in the paper."""
    sampling: Literal["uniform", "prioritised", "opposite"] = "uniform"
    """``prioritised`` draws by rank of the last error. ``opposite`` draws half of the tries evenly, and for each one of
    the same primitive with the opposite outcome, by rank (paper, with a batch of 2)."""
    priority_exponent: Annotated[float, Field(gt=0.0)] = 2.0
    """Of the power law of ranks: the density of a draw grows with rank ** (exponent - 1) from the smallest error to the
    largest; 1 draws evenly (the authors' code: 2)."""
    target_angles: Annotated[int, Field(ge=1)] = 4
    """Angles of each primitive that max Q(s', a') looks at, drawn for each state (paper: all)."""
    mirror: bool = True
    """Reflect patches at random (paper: no)."""
    grasp_symmetry: bool = True
    """Turn grasps by 180 degrees at random (the authors' code trains both)."""
    colour_change: bool = True
    """Swap and stretch colours at random (paper: no)."""
    height_noise_m: Annotated[float, Field(ge=0.0)] = 0.001
    """Standard deviation of noise on heights (paper: none)."""
    threads: Annotated[int, Field(ge=1)] = 2
    """CPU threads."""


class Episodes(Protocol):
    """What the learner asks of a store of episodes."""

    def __len__(self) -> int:
        """Number of finished episodes."""
        ...

    def episode(self, index: int) -> Mapping[str, NDArray[Any]]:
        """Fields of an episode, in a fixed order."""
        ...

    def info(self, index: int) -> Mapping[str, Any]:
        """Its summary, with the name of its ``stage``."""
        ...


class Learner:
    """Two networks, their optimiser and the tries.

    Args:
        config: maps, primitives, networks.
        settings: how to learn.
        seed: of weights, batches and augmentation.
    """

    def __init__(self, config: PushGraspConfig, settings: LearnSettings, seed: int, device: str = "cpu") -> None:
        torch.set_num_threads(settings.threads)
        torch.manual_seed(seed)
        self.config, self.settings, self.seed = config, settings, seed
        self._device = torch_device(device)
        self.networks = {p: n.to(self._device) for p, n in checkpoint.make_networks(config).items()}
        self._optimiser = self._make_optimiser()
        self._stage = -1
        self._planned = 1
        self._data = Dataset({})
        self._targets: dict[int, NDArray[np.float32]] = {}
        self._train: dict[int, NDArray[np.int64]] = {}
        self._held_out: dict[int, NDArray[np.int64]] = {}
        self._errors: dict[int, NDArray[np.float32]] = {}
        self._chances: dict[int, NDArray[np.float64] | None] = {}

    def begin_stage(
        self,
        episodes: Episodes,
        index: int,
        look_ahead: bool,
        epochs: float | None = None,
        newest_factor: float = 1.0,
    ) -> int:
        """Take all tries up; returns the number of updates planned.

        Args:
            episodes: finished episodes of this and earlier stages.
            index: number of the stage.
            look_ahead: whether targets contain gamma max Q(s', a'), with the networks as they are now; without, the
                reward alone is learned (the warm start).
            epochs: passes over the data in this stage; none for the settings' number.
            newest_factor: how many times as often as others the tries of the newest stage are drawn; they are where
                the networks of the stage before thought too much of an action (paper: 1).

        Raises:
            ValueError: a primitive was never tried, or ``newest_factor`` is not for this sampling.
        """
        settings = self.settings
        if newest_factor <= 0.0:
            raise ValueError(f"newest_factor is {newest_factor}; it is more than 0")
        if newest_factor != 1.0 and settings.sampling != "uniform":
            raise ValueError(f"newest_factor is {newest_factor}; with sampling {settings.sampling!r} it can only be 1")
        self._data = build((episodes.episode(i) for i in range(len(episodes))), self.config)
        missing = [PRIMITIVES[p] for p in self.config.primitives if p not in self._data.tries]
        if missing:
            raise ValueError(f"no {' and no '.join(missing)} in the {len(episodes)} episodes to learn from")
        bootstraps = look_ahead and self.config.method == "push_grasp"
        future = self._future(index) if bootstraps else np.zeros(len(self._data.states), dtype=np.float32)
        for primitive, tries in self._data.tries.items():
            held_out = tries.episode % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
            self._train[primitive] = np.flatnonzero(~held_out)
            self._held_out[primitive] = np.flatnonzero(held_out)
            self._chances[primitive] = _chances(episodes, tries.episode[~held_out], newest_factor)
            self._targets[primitive] = self._target(tries, future)
            self._errors[primitive] = np.full(len(tries), np.inf, dtype=np.float32)
        if index != self._stage:
            self._optimiser = self._make_optimiser()
            self._stage = index
        largest = max(len(index) for index in self._train.values())
        passes = settings.epochs if epochs is None else epochs
        self._planned = max(1, round(passes * largest / settings.batch))
        return self._planned

    def update(self, step: int) -> dict[str, float]:
        """One update of each network; what it draws depends on seed, stage and step alone."""
        # Updates beyond the plan go on at a hundredth: at the end of the half cosine they would change nothing.
        share = 0.5 * (1.0 + np.cos(np.pi * step / self._planned)) if step < self._planned else 0.01
        for group in self._optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * share
        rng = np.random.default_rng((self.seed, self._stage, step))
        self._optimiser.zero_grad()
        numbers = {}
        for primitive in self.config.primitives:
            loss = self._loss(primitive, rng)
            loss.backward()
            numbers[f"loss/{PRIMITIVES[primitive]}"] = float(loss.detach())
        self._optimiser.step()
        return {**numbers, "learning_rate": self._optimiser.param_groups[0]["lr"]}

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """How well the held-out tries are told apart: area under the ROC curve, and success of the best tenth."""
        found: dict[str, float] = {}
        for primitive, index in self._held_out.items():
            tries = self._data.tries[primitive]
            answer = tries.success[index] if primitive == GRASP else tries.changed[index]
            if not len(index) or answer.all() or not answer.any():
                continue
            score = self._scores(tries, index)
            name = PRIMITIVES[primitive]
            found[f"{name}_auc"] = float(roc_auc_score(answer, score))
            best = np.argsort(-score)[: max(1, len(score) // 10)]
            found[f"{name}_rate"] = float(answer.mean())
            found[f"{name}_rate_best_tenth"] = float(answer[best].mean())
        return found

    def state(self) -> dict[str, Any]:
        """Everything that a later continuation needs: tensors and numbers."""
        return {
            "networks": {PRIMITIVES[p]: n.state_dict() for p, n in self.networks.items()},
            "optimiser": self._optimiser.state_dict(),
            "stage": self._stage,
            "errors": {PRIMITIVES[p]: torch.from_numpy(e) for p, e in self._errors.items()},
            "targets": {PRIMITIVES[p]: torch.from_numpy(t) for p, t in self._targets.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Back to where ``state`` was taken; ``begin_stage`` comes before, as it did then."""
        for primitive, network in self.networks.items():
            network.load_state_dict(state["networks"][PRIMITIVES[primitive]])
        self._optimiser.load_state_dict(state["optimiser"])
        self._stage = int(state["stage"])
        for primitive in self._errors:
            self._errors[primitive] = np.asarray(state["errors"][PRIMITIVES[primitive]]).copy()
            self._targets[primitive] = np.asarray(state["targets"][PRIMITIVES[primitive]]).copy()

    def save_policy(self, folder: Path, card: Mapping[str, Any]) -> None:
        """Write the networks as a checkpoint that the policy loads."""
        checkpoint.save(folder, self.networks, self.config, card)

    def _make_optimiser(self) -> torch.optim.Optimizer:
        settings = self.settings
        parameters = [p for network in self.networks.values() for p in network.parameters()]
        if settings.optimiser == "sgd":
            return torch.optim.SGD(parameters, settings.learning_rate, 0.9, weight_decay=settings.weight_decay)
        return torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=settings.weight_decay)

    def _loss(self, primitive: int, rng: np.random.Generator) -> Tensor:
        settings = self.settings
        tries = self._data.tries[primitive]
        index = self._draw(primitive, rng)
        how = Augmentation(settings.mirror, settings.grasp_symmetry, settings.colour_change, settings.height_noise_m)
        # The pixel is any of the nine in the middle, so that every phase of the strides is learned.
        shift = rng.integers(-1, 2, (len(index), 2))
        patches = tries.patches(index, rng, how, OUTPUT_STRIDE * shift).to(self._device)
        network = self.networks[primitive].train()
        rows = torch.arange(len(index))
        logits = network.at_middle(patches)[rows, torch.from_numpy(1 + shift[:, 0]), torch.from_numpy(1 + shift[:, 1])]
        network.eval()
        wanted = torch.from_numpy(self._targets[primitive][index] / self.config.q_max).to(self._device)
        self._errors[primitive][index] = (torch.sigmoid(logits.detach()) - wanted).abs().cpu().numpy()
        if settings.loss == "huber":
            q_max = self.config.q_max
            return functional.smooth_l1_loss(q_max * torch.sigmoid(logits), q_max * wanted)
        return functional.binary_cross_entropy_with_logits(logits, wanted)

    def _draw(self, primitive: int, rng: np.random.Generator) -> NDArray[np.int64]:
        among, count = self._train[primitive], self.settings.batch
        if self.settings.sampling == "uniform":
            return rng.choice(among, count, p=self._chances[primitive])
        if self.settings.sampling == "prioritised":
            return self._by_rank(primitive, among, count, rng)
        first = rng.choice(among, (count + 1) // 2)
        tries = self._data.tries[primitive]
        outcome = tries.success if primitive == GRASP else tries.changed
        drawn = [first]
        for answer in (False, True):
            wanted = int((outcome[first] != answer).sum())
            fitting = among[outcome[among] == answer]
            # Where nothing ever ended the other way there is nothing to set against it.
            drawn.append(self._by_rank(primitive, fitting if len(fitting) else among, wanted, rng))
        return np.concatenate(drawn)[:count]

    def _by_rank(
        self, primitive: int, among: NDArray[np.int64], count: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Tries that were told wrongly come oftener; those that were never drawn count as the worst."""
        order = among[np.argsort(self._errors[primitive][among], kind="stable")]
        ranks = rng.power(self.settings.priority_exponent, count)
        return order[np.round(ranks * (len(order) - 1)).astype(np.int64)]

    def _target(self, tries: Tries, future: NDArray[np.float32]) -> NDArray[np.float32]:
        config = self.config
        if tries.primitive == GRASP:
            reward = tries.success.astype(np.float32)
        elif config.method == "reactive":
            return tries.changed.astype(np.float32)
        else:
            reward = config.push_reward * tries.changed
        ahead = np.where(tries.success | tries.changed, future[tries.after], 0.0)
        return (reward + config.gamma * ahead).astype(np.float32)

    def _future(self, stage: int) -> NDArray[np.float32]:
        """max Q of every state that followed a try, with the networks as they are; 0 for an empty table."""
        evaluator = Evaluator({p: copy.deepcopy(n) for p, n in self.networks.items()}, self.config, str(self._device))
        count = self.config.primitive

        def value(number: int) -> float:
            rng = np.random.default_rng((self.seed, stage, 1, number))
            best = 0.0
            for primitive in self.config.primitives:
                angles = count.rotations_of(primitive)
                some = rng.choice(angles, min(angles, self.settings.target_angles), replace=False)
                best = max(best, evaluator.values(self._data.states[number], primitive, np.sort(some)).best)
            return best

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        with ThreadPoolExecutor(self.settings.threads) as pool:
            future = np.array(list(pool.map(value, range(len(self._data.states)))), dtype=np.float32)
        torch.set_num_threads(threads)
        log.info("looked ahead from %d states: mean value %.3f", len(future), float(future.mean()))
        return future

    def _scores(self, tries: Tries, index: NDArray[np.int64]) -> NDArray[np.float32]:
        network = self.networks[tries.primitive].eval()
        rng = np.random.default_rng(0)
        scores = []
        for begin in range(0, len(index), 64):
            patches = tries.patches(index[begin : begin + 64], rng).to(self._device)
            scores.append(network.at_middle(patches)[:, 1, 1].cpu().numpy())
        return np.concatenate(scores)


def _chances(episodes: Episodes, episode: NDArray[np.int64], newest_factor: float) -> NDArray[np.float64] | None:
    """How likely each try is drawn, by the number of its episode; none for all alike."""
    if newest_factor == 1.0:
        return None
    stages = [episodes.info(index).get("stage") for index in range(len(episodes))]
    newest = np.array([stage == stages[-1] for stage in stages])
    weights = np.where(newest[episode], newest_factor, 1.0)
    return weights / weights.sum()
