# SPDX-License-Identifier: Apache-2.0
"""A checkpoint is a folder: ``weights.safetensors`` and ``card.yaml`` (configuration, origin, results). No pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from grasp_core.config import ConfigError, read_yaml
from grasp_policies.push_grasp.network import QNetwork
from grasp_policies.push_grasp.settings import PRIMITIVES, PushGraspConfig, checkpoint_files

FORMAT = 1


def make_networks(config: PushGraspConfig) -> dict[int, QNetwork]:
    """Fresh networks by primitive, in evaluation mode."""
    return {primitive: QNetwork(config.network).eval() for primitive in config.primitives}


def save(folder: Path, networks: Mapping[int, QNetwork], config: PushGraspConfig, card: Mapping[str, Any]) -> None:
    """Write a checkpoint; a reader never sees half of one, and none for a moment where one is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, card_file = checkpoint_files(folder)
    tensors = {
        f"{PRIMITIVES[primitive]}.{name}": tensor.detach().cpu().contiguous()
        for primitive, network in networks.items()
        for name, tensor in network.state_dict().items()
    }
    values = {"format": FORMAT, "policy": "push_grasp", "config": config.model_dump(mode="json"), **card}
    save_file(tensors, f"{weights}.part")
    # The library writes for the owner alone; a checkpoint is for everyone who may read the folder.
    os.chmod(f"{weights}.part", 0o644)
    Path(f"{card_file}.part").write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    # Without its card a folder is no checkpoint: new weights never stand beside an old card.
    card_file.unlink(missing_ok=True)
    os.replace(f"{weights}.part", weights)
    os.replace(f"{card_file}.part", card_file)


def load(folder: Path) -> tuple[dict[int, QNetwork], PushGraspConfig]:
    """Read a checkpoint.

    Raises:
        ConfigError: the folder holds no checkpoint of this policy, or weights and card do not fit each other.
    """
    weights, card_file = checkpoint_files(folder)
    card = read_yaml(card_file)
    if card.get("policy") != "push_grasp" or card.get("format") != FORMAT:
        raise ConfigError(
            f"{card_file}: is for policy {card.get('policy')!r} in format {card.get('format')!r}; "
            f"expected push_grasp in format {FORMAT}"
        )
    config = PushGraspConfig.from_mapping(card.get("config", {}), f"{card_file}: config")
    networks = make_networks(config)
    try:
        tensors = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{weights}: cannot be read: {error}") from error
    for primitive, network in networks.items():
        prefix = f"{PRIMITIVES[primitive]}."
        mine = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        try:
            network.load_state_dict(mine)
        except RuntimeError as error:
            raise ConfigError(f"{weights}: does not fit its card: {error}") from error
    return networks, config
