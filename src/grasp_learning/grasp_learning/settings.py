# SPDX-License-Identifier: Apache-2.0
"""The settings of one learning run: what is collected, stage by stage, and what is learned from it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from grasp_core import resources
from grasp_core.config import Config, ConfigError, read_yaml
from grasp_learning.episode_file import write_json
from grasp_learning.finding import find
from grasp_learning.recipe import Recipe

log = logging.getLogger(__name__)

Count = Annotated[int, Field(ge=1)]

# What a run was begun with, in its folder, and the name under which that file keeps the defaults too.
FILE = "settings.json"
RESOLVED = "resolved"


class StageSettings(Config):
    """Collect some tries, then learn from all tries so far."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    """Short name, as it appears in folders and plots."""
    tries: Count
    """Tries to collect in this stage. Episodes are whole: the last may go past it."""
    scenes: dict[str, Annotated[float, Field(gt=0.0)]]
    """Scenes to draw from, with their weights."""
    max_steps: Count = 60
    """Longest episode."""
    behaviour: dict[str, Any] = Field(default_factory=dict)
    """How the system chooses what to try; its own settings. It follows the policy that the stage before has learned."""
    learn: dict[str, Any] = Field(default_factory=dict)
    """Options of the system's learner for this stage."""
    updates: Annotated[int, Field(ge=0)] | None = None
    """Updates in place of what the learner plans for the data; 0 learns nothing after this stage."""

    @model_validator(mode="after")
    def _has_scenes(self) -> Self:
        if not self.scenes:
            raise ValueError("scenes is empty; name at least one scene with its weight")
        return self


class LearningSettings(Config):
    """One learning run from nothing to a checkpoint."""

    recipe: str
    """System to learn: a name in the entry points ``grasp.recipes``, or ``module:attribute``."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the system, as its recipe describes them."""
    stages: Annotated[tuple[StageSettings, ...], Field(min_length=1)]
    """What happens, in order."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of scenes, tries, weights and batches."""
    cell: str | None = None
    """Cell to collect in; none for the one that the system is made for."""
    cell_options: dict[str, Any] = Field(default_factory=dict)
    """Options of the simulated cell (``grasp_sim.cell.SimOptions``)."""
    log_every: Count = 20
    """Updates that one point of the curve is the mean of."""
    checkpoint_every: Count = 200
    """Updates between states that a stopped training goes on from."""
    measure_every: Count = 200
    """Updates between measurements on data kept aside."""
    episode_limit_s: Annotated[float, Field(gt=0.0)] = 600.0
    """Longest that one episode may take on the wall clock before its worker is replaced."""

    @model_validator(mode="after")
    def _stage_names(self) -> Self:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"stages {', '.join(names)}: two share a name")
        return self

    @property
    def system(self) -> Recipe:
        """The recipe.

        Raises:
            UnknownNameError: there is none of that name.
        """
        return find("grasp.recipes", self.recipe)

    @property
    def cell_name(self) -> str:
        """The cell to collect in."""
        return self.cell or self.system.cell

    def system_settings(self) -> Any:
        """The system's own settings, checked.

        Raises:
            ConfigError: they are refused.
        """
        return self.system.config_type.from_mapping(self.settings, f"settings of {self.recipe}")

    def stage_number(self, name: str) -> int:
        """Position of a stage.

        Raises:
            ConfigError: there is none of that name.
        """
        names = [stage.name for stage in self.stages]
        if name not in names:
            raise ConfigError(f"no stage {name!r}; there is {', '.join(names)}")
        return names.index(name)


def load_settings(path: Path, changes: tuple[str, ...] = ()) -> LearningSettings:
    """Read a learning run's file; a relative path is looked for here, then in ``config/learning``.

    Args:
        path: YAML file.
        changes: settings in place of the file's, like ``settings.policy.gamma=0.2`` or ``stages.first.tries=100``.

    Raises:
        ConfigError: it is missing or refused.
    """
    if not path.exists() and not path.is_absolute():
        relative = str(path).removeprefix("config/").removeprefix("learning/")
        try:
            path = resources.find("config", f"learning/{relative}")
        except resources.ResourceError as error:
            raise ConfigError(str(error)) from error
    values = read_yaml(path)
    for change in changes:
        set_value(values, change)
    settings = LearningSettings.from_mapping(values, " with ".join([str(path), *changes]))
    own = settings.system_settings()
    for stage in settings.stages:
        # Now, not after hours of collecting.
        if stage.updates != 0:
            settings.system.check_learn(own, stage.learn, f"{path}: learn of stage {stage.name}")
    return settings


def set_value(values: dict[str, Any], change: str) -> None:
    """Put ``path.to.setting=value`` (the value as in YAML) into nested mappings; a stage is called by its name.

    Raises:
        ConfigError: the text is no such thing, or the path leads through something that is no mapping.
    """
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise ConfigError(f"{change!r}: expected path.to.setting=value")
    *way, last = path.split(".")
    place: Any = values
    for part in way:
        if isinstance(place, list):
            names = [str(entry.get("name")) for entry in place]
            if part not in names:
                raise ConfigError(f"{change!r}: there is no stage {part!r}; there is {', '.join(names)}")
            place = place[names.index(part)]
        elif isinstance(place, dict):
            place = place.setdefault(part, {})
        if not isinstance(place, dict | list):
            raise ConfigError(f"{change!r}: there is no {part!r} to change something in")
    if not isinstance(place, dict):
        raise ConfigError(f"{change!r}: name the stage before its setting")
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{change!r}: {text!r} is no valid YAML: {error}") from error


def mapping_of(text: str, where: str) -> dict[str, Any]:
    """A YAML mapping from a command line.

    Raises:
        ConfigError: it is none.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} {text!r}: no valid YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{where} {text!r}: expected a mapping like {{name: value}}")
    return values


def read_pinned(folder: Path, settings: LearningSettings) -> None:
    """Write a run's settings into its folder, or refuse others than those that it was begun with.

    More stages, and more tries or updates in a stage, may be added to a run later.

    Raises:
        ConfigError: a setting differs that the data or the weights depend on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    check_pinned(folder, settings)
    # A run that was begun without the entry gets none: today's defaults may not be those that it was begun with.
    if (folder / FILE).exists():
        before, resolved = read_begun(folder)
        for old, new in zip(before.stages, settings.stages, strict=False):
            if new.tries < old.tries:
                log.warning(
                    "%s: stages.%s.tries was %d and is %d now; further tries that are there stay, unused by what is "
                    "learned from now on",
                    *(folder, old.name, old.tries, new.tries),
                )
    else:
        resolved = _resolved(settings)
    entry = {} if resolved is None else {RESOLVED: resolved}
    write_json(folder / FILE, {**settings.model_dump(mode="json"), **entry})


def check_pinned(folder: Path, settings: LearningSettings) -> None:
    """Refuse other settings than those that a run's folder was begun with; nothing is written.

    Raises:
        ConfigError: a setting differs that the data or the weights depend on.
    """
    if not (folder / FILE).exists():
        return
    before, resolved = read_begun(folder)
    changed = _differences(before, settings, resolved)
    if changed:
        raise ConfigError(f"{folder} was begun with other settings ({'; '.join(changed)}); use another folder")


def read_begun(folder: Path) -> tuple[LearningSettings, dict[str, Any] | None]:
    """What a run was begun with, and the system's settings with all defaults of that time.

    The latter are none for a run of before they were written down.

    Raises:
        ConfigError: the folder is no run's, or not one of this version.
    """
    file = folder / FILE
    try:
        # Not as YAML, which takes the 1e-05 that JSON writes for text.
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{file}: no valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: holds {type(values).__name__}, expected a mapping of settings")
    resolved = values.pop(RESOLVED, None)
    try:
        return LearningSettings.model_validate(values), resolved
    except ValidationError as error:
        raise ConfigError(f"{file}: is not of this version: {error}") from None


def _resolved(settings: LearningSettings) -> dict[str, Any]:
    return settings.system_settings().model_dump(mode="json")


def _differences(before: LearningSettings, now: LearningSettings, resolved: dict[str, Any] | None) -> list[str]:
    free = {"stages", "log_every", "checkpoint_every", "measure_every", "episode_limit_s"}
    a, b = before.model_dump(mode="json"), now.model_dump(mode="json")
    if resolved is not None:
        a["settings"], b["settings"] = resolved, _resolved(now)
    apart = [line for name in a if name not in free for line in _apart(name, a[name], b[name])]
    lines = [f"{name}: {then} then, {new} now" for name, then, new in apart if not _idle(now, name)]
    if len(now.stages) < len(before.stages):
        lines.append(f"stages: {len(before.stages)} then, {len(now.stages)} now")
    for old, new in zip(before.stages, now.stages, strict=False):
        c, d = old.model_dump(mode="json"), new.model_dump(mode="json")
        names = [name for name in c if name not in ("tries", "updates") and c[name] != d[name]]
        lines += [f"stages.{old.name}.{name}: {c[name]!r} then, {d[name]!r} now" for name in names]
    return lines


def _apart(path: str, then: Any, now: Any) -> list[tuple[str, str, str]]:
    """Where nested mappings differ: path, value then, value now."""
    if not (isinstance(then, dict) and isinstance(now, dict)):
        return [] if then == now else [(path, repr(then), repr(now))]
    found = []
    for name in {**then, **now}:
        if name in then and name in now:
            found += _apart(f"{path}.{name}", then[name], now[name])
        else:
            a, b = (repr(side[name]) if name in side else "not there" for side in (then, now))
            found.append((f"{path}.{name}", a, b))
    return found


def _idle(settings: LearningSettings, path: str) -> bool:
    """Whether nothing in a run depends on a setting: one stage of tries, for which no network is asked or learned."""
    alone = len(settings.stages) == 1 and settings.stages[0].updates == 0
    return alone and f"{path}.".startswith(("settings.learn.", "settings.policy.network."))
