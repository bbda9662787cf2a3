# SPDX-License-Identifier: Apache-2.0
"""The launch's log: screen, ``launch.log`` and, where asked for, a file per process.

Files lie in a folder per launch, named by date, host and process, below ROS_LOG_DIR, else ROS_HOME/log, else
``~/.ros/log``; ``latest`` beside it points to the newest.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from .._refusal import refuse_attribute

_SCREEN_FORMAT = "[{levelname}] [{name}]: {message}"
_FILE_FORMAT = "{created:.7f} [{levelname}] [{name}]: {message}"
_DESTINATIONS = ("screen", "log", "own_log")
_OUTPUTS: dict[str, dict[str, set[str]]] = {
    "screen": {"both": {"screen"}},
    "log": {"both": {"log"}, "stderr": {"screen"}},
    "both": {"both": {"log", "screen"}},
    "own_log": {"both": {"own_log"}, "stdout": {"own_log"}, "stderr": {"own_log"}},
    "full": {"both": {"screen", "log", "own_log"}, "stdout": {"own_log"}, "stderr": {"own_log"}},
}


class _ScreenHandler(logging.Handler):
    """Writes to the current standard output, and survives its end: a launch must shut down after its terminal went."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        try:
            sys.stdout.write(line.encode(encoding, "replace").decode(encoding) + "\n")
            sys.stdout.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                devnull = os.open(os.devnull, os.O_WRONLY)
                os.dup2(devnull, sys.stdout.fileno())
                os.close(devnull)


class LaunchConfig:
    """Where the log goes; one for the process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget folder, files and formats; the next message starts a new folder."""
        for handler in getattr(self, "_handlers", {}).values():
            handler.close()
        self._log_dir: str | None = None
        self._handlers: dict[tuple[str, str], logging.Handler] = {}
        self._loggers: list[logging.Logger] = []
        self.level = logging.INFO

    @property
    def log_dir(self) -> str:
        """The folder of this launch's files; made when first asked for."""
        if self._log_dir is None:
            base = _base_directory()
            base.mkdir(parents=True, exist_ok=True)
            while True:
                stamp = datetime.now().strftime("%Y-%m-%d-%H-%M-%S-%f")
                folder = base / f"{stamp}-{socket.gethostname()}-{os.getpid()}"
                with contextlib.suppress(FileExistsError):
                    folder.mkdir()
                    break
            self._log_dir = str(folder)
            _point_latest_to(folder)
        return self._log_dir

    @log_dir.setter
    def log_dir(self, folder: str | None) -> None:
        if folder is not None and not Path(folder).is_dir():
            raise ValueError(f"{folder} is not a directory")
        self._log_dir = folder

    @property
    def level(self) -> int:
        """The level of the launch's own messages."""
        return self._level

    @level.setter
    def level(self, level: int) -> None:
        self._level = level
        for logger in self._loggers:
            logger.setLevel(level)

    @property
    def has_files(self) -> bool:
        """Whether any log file has been opened."""
        return any(name != "" for name, _ in self._handlers)

    def get_log_file_path(self, file_name: str = "launch.log") -> str:
        """Return the path of a file in the log folder."""
        return os.path.join(self.log_dir, file_name)

    def handler(self, file_name: str, record_format: str) -> logging.Handler:
        """Return the handler for a file in the log folder ('' is the screen) and a format."""
        key = (file_name, record_format)
        if key not in self._handlers:
            handler: logging.Handler
            if file_name:
                handler = logging.FileHandler(self.get_log_file_path(file_name), encoding="utf-8")
            else:
                handler = _ScreenHandler()
            handler.setFormatter(logging.Formatter(record_format, style="{"))
            self._handlers[key] = handler
        return self._handlers[key]

    def logger(self, name: str, handlers: list[logging.Handler]) -> logging.Logger:
        """Return the logger of this name with exactly these handlers."""
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.setLevel(self._level)
        logger.handlers[:] = handlers
        if logger not in self._loggers:
            self._loggers.append(logger)
        return logger


def _base_directory() -> Path:
    folder = os.environ.get("ROS_LOG_DIR")
    if not folder:
        folder = os.path.join(os.environ.get("ROS_HOME") or os.path.join("~", ".ros"), "log")
    return Path(os.path.normpath(os.path.expanduser(folder)))


def _point_latest_to(folder: Path) -> None:
    latest = folder.parent / "latest"
    try:
        if latest.is_symlink():
            latest.unlink()
        latest.symlink_to(folder, target_is_directory=True)
    except OSError as error:
        # Another launch may have been faster, or the user made it a folder: the log itself does not depend on it.
        get_logger("launch").debug(f"cannot point {latest} to this launch's log folder: {error}")


launch_config = LaunchConfig()


def reset() -> None:
    """Forget folder, files and formats."""
    launch_config.reset()


def get_logger(name: str | None = None) -> logging.Logger:
    """Return a logger that writes to the screen and to launch.log.

    OVERRIDE_LAUNCH_SCREEN_FORMAT and OVERRIDE_LAUNCH_LOG_FORMAT replace the formats, as upstream.
    """
    screen = launch_config.handler("", _format("OVERRIDE_LAUNCH_SCREEN_FORMAT", _SCREEN_FORMAT))
    file = launch_config.handler("launch.log", _format("OVERRIDE_LAUNCH_LOG_FORMAT", _FILE_FORMAT))
    return launch_config.logger(name or "launch", [screen, file])


def _format(variable: str, default: str) -> str:
    given = os.environ.get(variable)
    if not given or given == "default":
        return default
    if given == "default_with_timestamp":
        return _FILE_FORMAT
    return given.encode("latin1").decode("unicode_escape").replace("{msg}", "{message}")


def get_output_loggers(process_name: str, output_config: str | Mapping[str, Any]) -> tuple[logging.Logger, ...]:
    """Return the loggers for a process's stdout and stderr.

    Args:
        process_name: names the loggers and the process's own files.
        output_config: 'screen', 'log' (stderr to the screen, too), 'both', 'own_log', 'full', or destinations
            ('screen', 'log', 'own_log') by source ('stdout', 'stderr', 'both').

    Raises:
        ValueError: an unknown name.
    """
    config = _normalize_output(output_config)
    loggers = []
    for source in ("stdout", "stderr"):
        wanted = config["both"] | config[source]
        handlers = []
        if "screen" in wanted:
            handlers.append(launch_config.handler("", "{message}"))
        if "log" in wanted:
            handlers.append(launch_config.handler("launch.log", "{created:.7f} {message}"))
        if "own_log" in config[source]:
            handlers.append(launch_config.handler(f"{process_name}-{source}.log", "{message}"))
        if "own_log" in config["both"]:
            handlers.append(launch_config.handler(f"{process_name}.log", "{message}"))
        loggers.append(launch_config.logger(f"{process_name}-{source}", handlers))
    return tuple(loggers)


def _normalize_output(config: str | Mapping[str, Any]) -> dict[str, set[str]]:
    normalized: dict[str, set[str]] = {"both": set(), "stdout": set(), "stderr": set()}
    if isinstance(config, str):
        if config not in _OUTPUTS:
            raise ValueError(f"'{config}' is not a valid output, expected one of {sorted(_OUTPUTS)}")
        return {**normalized, **_OUTPUTS[config]}
    for source, destinations in config.items():
        chosen = {destinations} if isinstance(destinations, str) else set(destinations)
        if source not in normalized:
            raise ValueError(f"'{source}' is not a valid output source, expected 'stdout', 'stderr' or 'both'")
        if not chosen <= set(_DESTINATIONS):
            raise ValueError(f"{sorted(chosen)} are not valid output destinations, expected {_DESTINATIONS}")
        normalized[source] = chosen
    return normalized


def log_launch_config(*, logger: logging.Logger) -> None:
    """Say where the log files are and how much is logged."""
    if launch_config.has_files:
        logger.info(f"All log files can be found below {launch_config.log_dir}")
    logger.info(f"Default logging verbosity is set to {logging.getLevelName(launch_config.level)}")


__all__ = ["LaunchConfig", "get_logger", "get_output_loggers", "launch_config", "log_launch_config", "reset"]
__getattr__ = refuse_attribute(__name__, __all__)
