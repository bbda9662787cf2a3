# SPDX-License-Identifier: Apache-2.0
"""The replay store: a folder of finished episodes that only ever grows, read while it is written.

    store.json                  schema and where the data comes from
    episodes/00-000042.zip      stage 0, episode 42 (``episode_file``)

Which episodes belong to a stage does not depend on who finished first: they are the shortest run of episode numbers
from 0 on that holds the tries that were asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_core.config import ConfigError
from grasp_core.config import read_yaml as read_mapping
from grasp_learning.episode_file import PART, ReplayError, read_fields, read_info, write_episode, write_json
from grasp_learning.recipe import Fields

FORMAT = 1
NAME = re.compile(r"^(\d{2})-(\d{6})\.zip$")


@dataclass(frozen=True, order=True)
class EpisodeId:
    """Stage and number of an episode."""

    stage: int
    index: int

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.stage:02d}-{self.index:06d}.zip"


@dataclass(frozen=True)
class StageCount:
    """One line of the statistics.

    Attributes:
        stage: number, or none for the sum.
        episodes: with at least one try.
        skipped: scenes that could not be made, or whose worker failed again and again.
        tries, successes, rate: as the behaviour counted them; the rate is 0 where nothing was tried.
        cpu_s: processor seconds of the workers.
        held_unnoticed, felt_not_held: tries whose label the simulation contradicts; none where nobody counts them.
        code: commits that collected; ``unknown`` where an episode does not tell.
        followed: SHA-256 of the weights that chose, where a network did; more than one in a stage is no clean run.
    """

    stage: int | None
    episodes: int
    skipped: int
    tries: int
    successes: int
    cpu_s: float
    held_unnoticed: int | None = None
    felt_not_held: int | None = None
    code: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Successes per try."""
        return self.successes / self.tries if self.tries else 0.0


class ReplayStore:
    """A folder of episodes of one schema.

    Args:
        folder: made where it does not exist.
        schema: arrays of an episode.
        origin: written into a new store: recipe, settings, command, versions.

    Raises:
        ReplayError: the folder holds a store of another format or schema.
    """

    def __init__(self, folder: Path, schema: Fields, origin: Mapping[str, Any] | None = None) -> None:
        self.folder = Path(folder)
        self.schema = {name: (tuple(shape), str(np.dtype(dtype))) for name, (shape, dtype) in schema.items()}
        file = self.folder / "store.json"
        if file.exists():
            check_schema(read_schema(self.folder), self.schema, str(file))
        else:
            (self.folder / "episodes").mkdir(parents=True, exist_ok=True)
            fields = {name: {"shape": list(shape), "dtype": dtype} for name, (shape, dtype) in self.schema.items()}
            write_json(file, {"format": FORMAT, "fields": fields, "origin": dict(origin or {})})

    def path(self, episode: EpisodeId) -> Path:
        """File of an episode, whether it exists or not."""
        return self.folder / "episodes" / episode.file

    def write(self, episode: EpisodeId, fields: Mapping[str, NDArray[Any]], info: Mapping[str, Any]) -> None:
        """Add an episode.

        Raises:
            ReplayError: the fields are not those of the schema.
        """
        write_episode(self.path(episode), fields, info, self.schema)

    def skip(self, episode: EpisodeId, info: Mapping[str, Any]) -> None:
        """Write down that an episode was given up, so that a resumed run does not try it again."""
        empty = {name: np.zeros((0, *shape), dtype) for name, (shape, dtype) in self.schema.items()}
        self.write(episode, empty, {"tries": 0, "successes": 0, **info})

    def remove_unfinished(self) -> int:
        """Delete what killed writers left; call it only while nobody writes. Returns how many files."""
        parts = list((self.folder / "episodes").glob(f"*{PART}"))
        for part in parts:
            part.unlink(missing_ok=True)
        return len(parts)

    def reader(self, upto: Mapping[int, int] | None = None) -> ReplayReader:
        """The episodes that are finished now; see ``ReplayReader``."""
        return ReplayReader(self.folder, self.schema, upto)


class ReplayReader(Sequence[EpisodeId]):
    """Finished episodes in the order of stage and number; a snapshot of the moment when it is made.

    Args:
        folder: of the store.
        schema: what is expected; none for whatever the store has.
        upto: tries wanted by stage: the shortest run of episodes from number 0 on that holds them. Stages that are not
            named are left out; none takes all episodes.

    Raises:
        ReplayError: no store, or one of another schema.
    """

    def __init__(self, folder: Path, schema: Fields | None = None, upto: Mapping[int, int] | None = None) -> None:
        self.folder = Path(folder)
        self.schema = read_schema(self.folder)
        if schema is not None:
            check_schema(self.schema, schema, str(self.folder / "store.json"))
        self._infos: dict[EpisodeId, dict[str, Any]] = {}
        self.ids = self._listed()
        if upto is not None:
            self.ids = [i for stage in sorted(upto) for i in self.first(stage, upto[stage])]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> EpisodeId:  # type: ignore[override]
        return self.ids[index]

    def episode(self, index: int, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Arrays [T, ...] of an episode; ``names`` for some of them.

        Raises:
            ReplayError: it cannot be read.
        """
        return read_fields(self._path(self.ids[index]), names or tuple(self.schema), self.schema)

    def info(self, index: int) -> dict[str, Any]:
        """Summary of an episode."""
        return self._info(self.ids[index])

    def first(self, stage: int, tries: int) -> list[EpisodeId]:
        """The shortest run of a stage's episodes from number 0 on with so many tries, or all of that run."""
        found: list[EpisodeId] = []
        count = 0
        for episode in (i for i in self.ids if i.stage == stage):
            if count >= tries or episode.index != len(found):
                break
            found.append(episode)
            count += int(self._info(episode).get("tries", 0))
        return found

    def tries(self, episodes: Sequence[EpisodeId] | None = None) -> int:
        """Number of tries in some episodes, or in all."""
        return sum(int(self._info(i).get("tries", 0)) for i in (self.ids if episodes is None else episodes))

    def transitions(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Fields of a step and of the step that followed it in the same episode, in order."""
        for index in range(len(self)):
            fields = self.episode(index)
            for t in range(len(next(iter(fields.values()))) - 1):
                yield ({n: v[t] for n, v in fields.items()}, {n: v[t + 1] for n, v in fields.items()})

    def statistics(self) -> list[StageCount]:
        """Episodes, tries and successes by stage, the sum last."""
        stages = sorted({i.stage for i in self.ids})
        lines = [self._count(stage, [i for i in self.ids if i.stage == stage]) for stage in stages]
        return [*lines, self._count(None, self.ids)]

    def _count(self, stage: int | None, ids: Sequence[EpisodeId]) -> StageCount:
        infos = [self._info(i) for i in ids]
        skipped = sum("skipped" in info for info in infos)
        return StageCount(
            stage,
            len(infos) - skipped,
            skipped,
            sum(int(info.get("tries", 0)) for info in infos),
            sum(int(info.get("successes", 0)) for info in infos),
            float(sum(info.get("cpu_s", 0.0) for info in infos)),
            _sum_of(infos, "held_unnoticed"),
            _sum_of(infos, "felt_not_held"),
            tuple(sorted({str(info.get("code", "unknown")) for info in infos})),
            tuple(sorted({str(info["followed"]) for info in infos if info.get("followed")})),
        )

    def _path(self, episode: EpisodeId) -> Path:
        return self.folder / "episodes" / episode.file

    def _info(self, episode: EpisodeId) -> dict[str, Any]:
        if episode not in self._infos:
            self._infos[episode] = read_info(self._path(episode))
        return self._infos[episode]

    def _listed(self) -> list[EpisodeId]:
        matches = (NAME.match(path.name) for path in (self.folder / "episodes").iterdir())
        return sorted(EpisodeId(int(m[1]), int(m[2])) for m in matches if m)


def _sum_of(infos: Sequence[Mapping[str, Any]], name: str) -> int | None:
    counts = [int(info[name]) for info in infos if name in info]
    return sum(counts) if counts else None


def read_schema(folder: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """The arrays that a store's episodes have.

    Raises:
        ReplayError: the folder is no store, or one of a format that this version does not read.
    """
    file = Path(folder) / "store.json"
    try:
        values = read_mapping(file)
        if values.get("format") != FORMAT:
            raise ReplayError(f"{file}: format is {values.get('format')!r}; this version reads {FORMAT}")
        return {name: (tuple(field["shape"]), str(field["dtype"])) for name, field in values["fields"].items()}
    except (ConfigError, KeyError, TypeError) as error:
        raise ReplayError(f"{file}: describes no replay store ({error})") from error


def check_schema(found: Fields, expected: Fields, where: str) -> None:
    """Refuse a store of other fields.

    Raises:
        ReplayError: names the first field that differs.
    """
    for name in (*expected, *found):
        mine = None if name not in found else (tuple(found[name][0]), np.dtype(found[name][1]))
        theirs = None if name not in expected else (tuple(expected[name][0]), np.dtype(expected[name][1]))
        if mine != theirs:
            raise ReplayError(
                f"{where}: field {name!r} is {_told(mine)} in the store and {_told(theirs)} is expected; "
                "collect into another folder"
            )


def _told(field: tuple[tuple[int, ...], Any] | None) -> str:
    return "absent" if field is None else f"{field[1]} {list(field[0])}"
