# SPDX-License-Identifier: Apache-2.0
"""Learning while acting: one step of gradient descent on what the last action brought (section IV-F: rate 1e-5).

The weights are put back before every run, so that runs do not depend on each other.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch.nn import functional

from grasp_policies.heightmaps.state import State
from grasp_policies.push_grasp.dataset import build
from grasp_policies.push_grasp.network import QNetwork
from grasp_policies.push_grasp.primitives import Choice
from grasp_policies.push_grasp.settings import GRASP, PushGraspConfig


class OnlineLearner:
    """Moves networks a little after every action.

    Args:
        networks: by primitive; changed in place.
        config: what they were trained with.
        learning_rate: of plain gradient descent with momentum 0.9.
    """

    def __init__(self, networks: dict[int, QNetwork], config: PushGraspConfig, learning_rate: float) -> None:
        self._networks, self._config, self._rate = networks, config, learning_rate
        self._first = {p: copy.deepcopy(n.state_dict()) for p, n in networks.items()}
        self._optimisers = self._make_optimisers()

    def restore(self) -> None:
        """The weights as they were loaded."""
        for primitive, network in self._networks.items():
            network.load_state_dict(self._first[primitive])
        self._optimisers = self._make_optimisers()

    def learn(
        self, choice: Choice, before: State, after: State, success: bool, different: bool, future: float
    ) -> float:
        """One step towards the reward and ``future``, the largest value of what followed; returns the loss.

        The normalisations keep their statistics: one try says nothing about those.
        """
        config = self._config
        episode = {
            "height": np.stack([before.height, after.height]),
            "rgb": np.stack([before.rgb, after.rgb]),
            "choice": np.array([[choice.primitive, choice.row, choice.column, choice.rotation], [-1, 0, 0, 0]]),
            "success": np.array([success, False]),
            "changed": np.array([different, False]),
        }
        push_reward = 1.0 if config.method == "reactive" else config.push_reward
        reward = float(success) if choice.primitive == GRASP else push_reward * different
        target = reward + (config.gamma * future if success or different else 0.0)
        network = self._networks[choice.primitive].eval()
        device = next(network.parameters()).device
        tries = build([episode], config).tries[choice.primitive]
        patch = tries.patches(np.array([0]), np.random.default_rng(0)).to(device)
        optimiser = self._optimisers[choice.primitive]
        optimiser.zero_grad()
        logit = network.at_middle(patch)[:, 1, 1]
        loss = functional.smooth_l1_loss(config.q_max * torch.sigmoid(logit), torch.full_like(logit, target))
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    def _make_optimisers(self) -> dict[int, torch.optim.Optimizer]:
        return {p: torch.optim.SGD(n.parameters(), self._rate, 0.9) for p, n in self._networks.items()}
