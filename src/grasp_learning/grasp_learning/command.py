# SPDX-License-Identifier: Apache-2.0
"""What the command lines share: logging, errors told in one sentence."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TypeVar

import tyro

from grasp_core.cell import SceneError
from grasp_core.config import Config, ConfigError
from grasp_core.registry import DuplicateNameError, UnknownNameError
from grasp_core.resources import ResourceError
from grasp_learning.episode_file import ReplayError
from grasp_learning.plan import CollectionError
from grasp_learning.usage import count_from_start
from grasp_sim.parallel import WorkerError

C = TypeVar("C", bound=Config)

REFUSED = (ConfigError, UnknownNameError, DuplicateNameError, ResourceError, ReplayError, SceneError)


def command(arguments_type: type[C], run: Callable[[C], int], arguments: list[str] | None) -> int:
    """Parse, run, and tell what a user can mend in words instead of a traceback.

    Returns:
        Exit status: what ``run`` returns, 2 where something was refused, 1 where it failed, 130 after Ctrl-C.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    args = tyro.cli(arguments_type, args=arguments)
    if getattr(args, "total", None) is not None and getattr(args, "more", None) is not None:
        print("--total and --more exclude each other", file=sys.stderr)
        return 2
    count_from_start()
    try:
        return run(args)
    except REFUSED as error:
        print(error, file=sys.stderr)
        return 2
    except (CollectionError, WorkerError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
