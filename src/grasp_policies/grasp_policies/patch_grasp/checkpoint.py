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
from grasp_policies.patch_grasp.network import PatchNetwork
from grasp_policies.patch_grasp.settings import PatchGraspConfig

FORMAT = 2
# What format 1 knew no other of: 18 outputs on an upright, square patch whose heights are told from the table.
FORMAT_1 = {"trunk": "small", "head": "bins", "heights": "table"}


def save(folder: Path, network: PatchNetwork, config: PatchGraspConfig, card: Mapping[str, Any]) -> None:
    """Write a checkpoint; a reader never sees half of one, and none for a moment where one is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, card_file = folder / "weights.safetensors", folder / "card.yaml"
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    values = {"format": FORMAT, "policy": "patch_grasp", "config": config.model_dump(mode="json"), **card}
    save_file(tensors, f"{weights}.part")
    Path(f"{card_file}.part").write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    # Without its card a folder is no checkpoint: new weights never stand beside an old card.
    card_file.unlink(missing_ok=True)
    os.replace(f"{weights}.part", weights)
    os.replace(f"{card_file}.part", card_file)


def load(folder: Path) -> tuple[PatchNetwork, PatchGraspConfig]:
    """Read a checkpoint; the network is in evaluation mode.

    Raises:
        ConfigError: the folder holds no checkpoint of this policy, or weights and card do not fit each other.
    """
    weights, card_file = folder / "weights.safetensors", folder / "card.yaml"
    card = read_yaml(card_file)
    if card.get("policy") != "patch_grasp" or card.get("format") not in (1, FORMAT):
        raise ConfigError(
            f"{card_file}: is for policy {card.get('policy')!r} in format {card.get('format')!r}; "
            f"expected patch_grasp in format 1 or {FORMAT}"
        )
    if not isinstance(card.get("config"), dict):
        raise ConfigError(f"{card_file}: config is {card.get('config')!r}; expected what the weights were learned with")
    values = dict(card["config"])
    if card["format"] == 1:
        values["network"] = {**FORMAT_1, **values.get("network", {})}
    config = PatchGraspConfig.from_mapping(values, f"{card_file}: config")
    network = PatchNetwork(config).eval()
    try:
        network.load_state_dict(load_file(weights))
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{weights}: cannot be read: {error}") from error
    except RuntimeError as error:
        raise ConfigError(f"{weights}: does not fit its card: {error}") from error
    return network, config
