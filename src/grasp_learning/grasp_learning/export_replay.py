# SPDX-License-Identifier: Apache-2.0
"""Recorded episodes into a replay store: what a robot did over ROS is learned from like what was collected directly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from grasp_core.recording import RecordedEpisode
from grasp_learning.episode_file import ReplayError
from grasp_learning.finding import find
from grasp_learning.replay import EpisodeId, ReplayStore

STAGE = 0


def write_replay(episodes: Sequence[RecordedEpisode], target: Path, recipe: str) -> str:
    """Add recorded episodes to a store, as stage 0; returns what was done in a sentence.

    Args:
        episodes: as read from bags.
        target: folder of the store, made where it does not exist; an episode that is in it already is passed over.
        recipe: name of the system; its recipe must offer ``recorded(config, episode)``.

    Raises:
        UnknownNameError: there is no such recipe.
        ReplayError: the recipe cannot learn from recordings, or the store has another schema.
    """
    system = find("grasp.recipes", recipe)
    if not hasattr(system, "recorded"):
        raise ReplayError(f"recipe {recipe} offers no recorded(config, episode): it cannot learn from recordings")
    config = system.config_type()
    store = ReplayStore(target, system.fields(config), {"recipe": recipe, "from": "recordings"})
    reader = store.reader()
    known = {reader.info(k).get("episode_id") for k in range(len(reader))}
    index = max((entry.index for entry in reader if entry.stage == STAGE), default=-1) + 1
    tries = written = 0
    for recorded in episodes:
        if recorded.episode_id in known:
            continue
        made = system.recorded(config, recorded)
        origin = {"stage": "recorded", "scene": recorded.scene, "seed": recorded.seed, "policy": recorded.policy}
        store.write(EpisodeId(STAGE, index), made.fields, {**made.info, **origin, "episode_id": recorded.episode_id})
        tries, written, index = tries + int(made.info["tries"]), written + 1, index + 1
    passed = f", {len(episodes) - written} were there already" if written < len(episodes) else ""
    return f"{written} episodes with {tries} tries written to {target}{passed}"
