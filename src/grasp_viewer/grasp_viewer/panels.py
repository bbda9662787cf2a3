# SPDX-License-Identifier: Apache-2.0
"""The side panel: buttons, how the episodes go, pictures, and which topics are silent."""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray

NOTHING = "nothing"
SURFACES = ("camera cloud", "fused cloud", "fused mesh", NOTHING)
# Actions that are listed.
LISTED = 6
BLANK = np.full((120, 160, 3), 40, dtype=np.uint8)
# A topic that was not heard for longer is shown as silent [s].
SILENT_S = 3.0


@dataclass(frozen=True)
class Request:
    """A button was pressed: ``start``, ``stop`` or ``new_scene``, with what stood beside it."""

    kind: str
    scene: str
    objects: int
    seed: int
    episodes: int


@dataclass
class Counts:
    """How the episodes went since the viewer started."""

    episodes: int = 0
    attempts: int = 0
    successes: int = 0
    actions: int = 0
    recent: list[str] = field(default_factory=list)

    def add_action(self, line: str, *, attempted: bool, succeeded: bool) -> None:
        """Count one action and list it."""
        self.actions += 1
        self.attempts += attempted
        self.successes += succeeded
        self.recent = [line, *self.recent][:LISTED]

    def text(self) -> str:
        """The counts as a line of Markdown."""
        rate = f" ({100 * self.successes / self.attempts:.0f} %)" if self.attempts else ""
        head = f"**{self.episodes}** episodes, **{self.actions}** actions, "
        head += f"**{self.successes}** of **{self.attempts}** grasps held{rate}"
        return head

    def list(self) -> str:
        """The latest actions as a list in Markdown, the newest first."""
        return "\n".join(f"- {_plain(line)}" for line in self.recent) or "none yet"


class Panels:
    """The page's controls. Presses wait in ``requests`` until the node takes them.

    Args:
        server: where they are shown.
        title: heading.
        cameras: names to choose from.
        scenes: names to choose from; the first is chosen.
    """

    def __init__(self, server: viser.ViserServer, title: str, cameras: Sequence[str], scenes: Sequence[str]) -> None:
        self.requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        gui = server.gui
        gui.configure_theme(control_width="large", show_logo=False, show_share_button=False)
        gui.main_panel.dock_right()
        gui.set_panel_label(title)
        self._state = gui.add_markdown("waiting for the graph")
        with gui.add_folder("Episodes"):
            start = gui.add_button("Start", color="green", icon=viser.Icon.PLAYER_PLAY, hint="run episodes")
            stop = gui.add_button("Stop", color="red", icon=viser.Icon.PLAYER_STOP, hint="end whatever is running")
            anew = gui.add_button("New scene", icon=viser.Icon.REFRESH, hint="put other objects on the table")
            self._answer = gui.add_markdown("")
            self._counts = gui.add_markdown(Counts().text())
        with gui.add_folder("Pictures"):
            self._camera = gui.add_dropdown("camera", (*cameras, NOTHING))
            self._kind = gui.add_dropdown("shows", ("color", "depth"))
            self._picture = gui.add_image(BLANK, label="no picture yet", format="jpeg")
            self._map = gui.add_dropdown("map", (NOTHING,))
            self._map_picture = gui.add_image(BLANK, label="no map yet", format="jpeg")
        with gui.add_folder("Scene"):
            self._surface = gui.add_dropdown("surface", SURFACES)
            self._actions = gui.add_checkbox("actions", True, hint="green: chosen; the brighter the others, the better")
        with gui.add_folder("Latest actions"):
            self._recent = gui.add_markdown("none yet")
        with gui.add_folder("Next episodes", expand_by_default=False):
            self._scene = gui.add_dropdown("scene", tuple(scenes))
            self._objects = gui.add_number("objects", -1, min=-1, max=1000, step=1, hint="-1: as the scene says")
            self._seed = gui.add_number("seed", 0, min=0, step=1, hint="a new scene counts it up")
            self._episodes = gui.add_number("episodes", 1, min=1, max=10_000, step=1)
        with gui.add_folder("Topics", expand_by_default=False):
            self._topics = gui.add_markdown("")
        start.on_click(lambda _: self._ask("start"))
        stop.on_click(lambda _: self._ask("stop"))
        anew.on_click(lambda _: self._ask("new_scene"))

    def _ask(self, kind: str) -> None:
        if kind == "new_scene":
            self._seed.value = int(self._seed.value) + 1  # type: ignore[misc]
        self.requests.put(
            Request(
                kind, str(self._scene.value), int(self._objects.value), int(self._seed.value), int(self._episodes.value)
            )
        )

    @property
    def camera(self) -> str:
        """The chosen camera; empty for none."""
        return "" if self._camera.value == NOTHING else str(self._camera.value)

    @property
    def kind(self) -> str:
        """``color`` or ``depth``."""
        return str(self._kind.value)

    @property
    def map(self) -> str:
        """The chosen map; empty for none."""
        return "" if self._map.value == NOTHING else str(self._map.value)

    @property
    def surface(self) -> str:
        """One of ``SURFACES``."""
        return str(self._surface.value)

    @property
    def shows_actions(self) -> bool:
        """Whether candidate and chosen actions are to be drawn."""
        return bool(self._actions.value)

    def offer_maps(self, names: Sequence[str]) -> None:
        """Which maps there are to choose from; the first is chosen where none was."""
        options = (*names, NOTHING)
        if tuple(self._map.options) != options:
            chosen, had_any = str(self._map.value), len(self._map.options) > 1
            self._map.options = options
            self._map.value = chosen if chosen in options and had_any else options[0]  # type: ignore[misc]

    def show_picture(self, pixels: NDArray[np.uint8], label: str) -> None:
        """The chosen camera's picture, uint8 [H, W, 3]."""
        self._picture.image, self._picture.label = pixels, label

    def show_map(self, pixels: NDArray[np.uint8], label: str) -> None:
        """The chosen map, uint8 [H, W, 3]."""
        self._map_picture.image, self._map_picture.label = pixels, label

    def clear_picture(self, label: str) -> None:
        """No picture; the label says why."""
        if self._picture.label != label:
            self.show_picture(BLANK, label)

    def clear_map(self, label: str) -> None:
        """No map; the label says why."""
        if self._map_picture.label != label:
            self.show_map(BLANK, label)

    def tell_state(self, text: str) -> None:
        """What is going on, in a line of Markdown."""
        _set(self._state, text)

    def tell_answer(self, text: str) -> None:
        """What became of the latest press."""
        _set(self._answer, _plain(text))

    def tell_counts(self, counts: Counts) -> None:
        """How the episodes go."""
        _set(self._counts, counts.text())
        _set(self._recent, counts.list())

    def tell_topics(self, ages_s: Mapping[str, float | None]) -> None:
        """Seconds since the last message of every topic; none where nothing has come."""
        rows = [f"| `{topic}` | {_age(age)} |" for topic, age in ages_s.items()]
        _set(self._topics, "\n".join(("| topic | last message |", "| --- | --- |", *rows)))


def _age(age_s: float | None) -> str:
    if age_s is None:
        return "nothing yet"
    if age_s <= SILENT_S:
        return "now"
    return f"{age_s:.0f} s ago" if age_s < 120 else f"{age_s / 60:.0f} min ago"


def _set(handle: Any, text: str) -> None:
    if handle.content != text:
        handle.content = text


def _plain(text: str) -> str:
    """Text of others as it is, not as Markdown or HTML."""
    for character in "\\`*_{}[]<>|#":
        text = text.replace(character, "\\" + character)
    return text.replace("\n", " ")
