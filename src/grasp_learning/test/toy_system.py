# SPDX-License-Identifier: Apache-2.0
"""A system whose answer is known: objects show a cue of -1 or 1, and a grasp on the cue's side picks one.

Wherever it is random the chance of success is one half; a learner that got it is always right. It takes seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import load_file, save_file

from grasp_core.actions import Action, Grasp, Push, Stop
from grasp_core.cell import Outcome, Reason, SceneError
from grasp_core.config import Config
from grasp_core.geometry import top_down
from grasp_core.observation import ArmObservation, GripperState, Observation
from grasp_core.policy import Decision, Goal, PolicySpec

FIELDS = {"cue": ((), "float32"), "side": ((2,), "float32"), "success": ((), "uint8")}


class ToyCell:
    """``count`` objects in a row; the cue says on which side the next one can be grasped. A push moves it."""

    name = "toy"

    def __init__(self, count: int = 3, sleep_s: float = 0.0) -> None:
        self._count, self._sleep_s = count, sleep_s
        self._poses: dict[int, np.ndarray] = {}
        self._rng = np.random.default_rng(0)
        self._cue, self._step = 1.0, 0

    @property
    def truth(self) -> ToyCell:
        return self

    def poses(self) -> dict[int, np.ndarray]:
        return {i: T.copy() for i, T in self._poses.items()}

    def reset(self, scene: str, seed: int) -> Observation:
        if scene == "impossible" or (scene == "sometimes" and seed % 2):
            raise SceneError(f"scene {scene} with seed {seed} cannot be made")
        self._rng = np.random.default_rng(seed)
        self._poses = {i: top_down((0.1 * i, 0.0, 0.0), 0.0) for i in range(self._count)}
        self._step = 0
        self._next_cue()
        return self.observe()

    def observe(self) -> Observation:
        gripper = GripperState(0.1, 0.0, False, False, {})
        arm = ArmObservation(top_down((0.0, 0.0, 0.3), 0.0), gripper)
        return Observation({}, {"cue": self._cue}, {"arm": arm}, 0, self._step)

    def execute(self, action: Action, observation: Observation | None = None) -> Outcome:
        time.sleep(self._sleep_s)
        self._step += 1
        if isinstance(action, Push):
            first = next(iter(self._poses))
            if action.length_m > 1.0:  # off the table
                del self._poses[first]
            else:
                self._poses[first][:3, 3] += action.length_m * np.asarray(action.direction)
            return Outcome(action, action, True, Reason.PUSHED, self.observe())
        assert isinstance(action, Grasp)
        held = bool(self._poses) and float(action.T_base_tcp[0, 3]) * self._cue > 0.0
        ids: tuple[int, ...] = ()
        if held:
            ids = (next(iter(self._poses)),)
            del self._poses[ids[0]]
        self._next_cue()
        reason = Reason.HELD if held else Reason.MISSED
        return Outcome(action, action, held, reason, self.observe(), info={"held_ids": ids})

    def close(self) -> None:
        self._poses = {}

    def _next_cue(self) -> None:
        self._cue = float(self._rng.choice([-1.0, 1.0]))


def grasp(side: float) -> Grasp:
    return Grasp(top_down((0.1 * side, 0.0, 0.02), 0.0))


class ToySettings(Config):
    rate: float = 0.5


class ToyStage(Config):
    planned: int = 40


@dataclass
class ToyEpisode:
    fields: dict[str, np.ndarray]
    info: dict[str, Any] = field(default_factory=dict)


class ToyBehaviour:
    def __init__(self, options: Mapping[str, Any], checkpoint: Path | None) -> None:
        self._options = dict(options)
        self._weight = 0.0 if checkpoint is None else float(load_file(checkpoint / "weights.safetensors")["weight"][0])

    def run_episode(self, cell: ToyCell, scene: str, seed: int, max_steps: int) -> ToyEpisode:
        self._accidents(seed)
        rng = np.random.default_rng(seed)
        observation = cell.reset(scene, seed)
        rows = []
        while len(rows) < max_steps and cell.poses():
            cue = observation.joint_positions["cue"]
            side = np.sign(self._weight * cue) or rng.choice([-1.0, 1.0])
            outcome = cell.execute(grasp(float(side)))
            observation = outcome.observation
            rows.append((cue, (side, rng.normal()), bool(outcome.success)))
        columns = zip(*rows, strict=True) if rows else ((), (), ())
        fields = {
            name: np.array(values, dtype=dtype).reshape(len(rows), *shape)
            for (name, (shape, dtype)), values in zip(FIELDS.items(), columns, strict=True)
        }
        return ToyEpisode(fields, {"tries": len(rows), "successes": int(fields["success"].sum())})

    def _accidents(self, seed: int) -> None:
        """What an option asks for: die once, die always, raise."""
        once = self._options.get("die_once")
        if once is not None and not Path(once).exists():
            Path(once).write_text(str(seed))
            os._exit(9)
        if self._options.get("die_on_odd_seeds") and seed % 2:
            os._exit(9)
        if self._options.get("raise"):
            raise RuntimeError("told to raise")


class ToyLearner:
    """One weight, trained by random single steps with momentum; notices everything that a resume could get wrong."""

    def __init__(self, settings: ToySettings, seed: int) -> None:
        import torch

        torch.manual_seed(seed)
        self._weight = torch.nn.Parameter(torch.randn(1))
        self._optimiser = torch.optim.Adam([self._weight], settings.rate)
        self.begun: list[tuple[int, int]] = []

    def begin_stage(self, episodes: Any, index: int, planned: int = 40) -> int:
        import torch

        data = [episodes.episode(i) for i in range(len(episodes))]
        self.begun.append((index, sum(len(d["cue"]) for d in data)))
        self._x = torch.from_numpy(np.concatenate([d["cue"] * d["side"][:, 0] for d in data]))
        self._y = torch.from_numpy(np.concatenate([d["success"].astype(np.float32) for d in data]))
        torch.rand(3)  # a stage may draw numbers when it begins
        return planned

    def update(self, step: int) -> dict[str, float]:
        import torch

        index = torch.randint(len(self._x), (4,))  # the global generator: a resume has to bring it back
        loss = torch.nn.functional.binary_cross_entropy_with_logits(self._weight * self._x[index], self._y[index])
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        return {"loss": float(loss.detach()), "noise": float(np.random.rand())}  # noqa: NPY002

    def measure(self) -> dict[str, float]:
        right = ((self._weight * self._x > 0.0) == (self._y > 0.5)).float().mean()
        return {"right": float(right)}

    def state(self) -> dict[str, Any]:
        return {"weight": self._weight.detach(), "optimiser": self._optimiser.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._weight.data.copy_(state["weight"])
        self._optimiser.load_state_dict(state["optimiser"])

    def save_policy(self, folder: Path, card: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weight": self._weight.detach().numpy()}, folder / "weights.safetensors")
        (folder / "card.yaml").write_text(yaml.safe_dump(dict(card)))


class ToyRecipe:
    name = "toy"
    cell = "toy_system:ToyCell"
    config_type = ToySettings

    def fields(self, config: ToySettings) -> dict[str, tuple[tuple[int, ...], str]]:
        return dict(FIELDS)

    def behaviour(
        self, config: ToySettings, options: Mapping[str, Any], checkpoint: Path | None, device: str
    ) -> ToyBehaviour:
        return ToyBehaviour(options, checkpoint)

    def check_learn(self, config: ToySettings, options: Mapping[str, Any], where: str) -> None:
        ToyStage.from_mapping(options, where)

    def learner(self, config: ToySettings, device: str, seed: int) -> ToyLearner:
        return ToyLearner(config, seed)


RECIPE = ToyRecipe()


class ScriptedPolicy:
    """Does what a string says: g a grasp that holds, m one that misses, p a push, n a push of nothing, o one that
    sweeps an object off the table, s to stop; the last letter goes on."""

    def __init__(self, script: str) -> None:
        self._script, self._step = script, 0
        self.learned: list[Reason] = []

    spec = PolicySpec("scripted", ("toy",), (), ("grasp", "push", "stop"))

    def reset(self, goal: Goal, seed: int) -> None:
        self._step = 0

    def act(self, observation: Observation) -> Decision:
        letter = self._script[min(self._step, len(self._script) - 1)]
        self._step += 1
        cue = observation.joint_positions["cue"]
        lengths = {"p": 0.05, "n": 0.0, "o": 2.0}
        if letter == "s":
            return Decision(Stop("scripted"), 0.0)
        if letter in lengths:
            return Decision(Push(np.zeros(3), np.array([1.0, 0.0, 0.0]), lengths[letter]), 0.5)
        return Decision(grasp(cue if letter == "g" else -cue), 0.9)

    def learn(self, outcome: Outcome) -> None:
        self.learned.append(outcome.reason)


class ScriptedFactory:
    spec = ScriptedPolicy.spec

    def load(self, checkpoint: Path | None, device: str, options: Mapping[str, Any]) -> ScriptedPolicy:
        return ScriptedPolicy(options["script"])


SCRIPTED = ScriptedFactory()
