# SPDX-License-Identifier: Apache-2.0
"""The ``ros2`` command line: finds its commands through entry points and calls the one asked for."""

import argparse
import contextlib
import importlib.metadata
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ros2cli.command import Unsupported, arguments_so_far, completing, first_word, summary

COMMAND_GROUP = "ros2cli.command"
# What an installed distribution has under these names and this stand-in has not.
ELSEWHERE = ("component", "control", "daemon", "doctor", "lifecycle", "multicast", "plugin", "security", "test", "wtf")


def build_parser(argv: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """The parser of the whole command line; only the command asked for declares its arguments.

    Raises:
        Unsupported: ``argv`` asks for a command or verb that only an installed distribution has.
    """
    words = arguments_so_far(argv)
    parser = argparse.ArgumentParser(
        prog="ros2",
        description="ros2 is an extensible command-line tool for ROS 2 "
        "(this is the stand-in of a workspace without an installed distribution).",
    )
    parser.add_argument(
        "--use-python-default-buffering",
        action="store_true",
        help="Do not force line buffering of the standard output",
    )
    points = {point.name: point for point in importlib.metadata.entry_points(group=COMMAND_GROUP)}
    chosen = first_word(words)
    if chosen in ELSEWHERE and chosen not in points:
        raise Unsupported(chosen)
    subparsers = parser.add_subparsers(
        title="Commands", metavar="Call `ros2 <command> -h` for more detailed usage.", dest="_command"
    )
    for name in sorted(points):
        if chosen in points and name != chosen:
            subparsers.add_parser(name)
            continue
        command = points[name].load()()
        child = subparsers.add_parser(name, help=summary(command), description=summary(command))
        if name == chosen:
            rest = words[words.index(name) + 1 :]
            command.add_arguments(child, f"ros2 {name}", argv=None if completing() else rest)
        child.set_defaults(_extension=command, _parser=child)
    return parser


def add_wheels_to_ament_index() -> None:
    """Put this interpreter's own prefix on ``AMENT_PREFIX_PATH``: ROS 2 wheels keep their index there.

    A sourced ``setup.bash`` names the workspaces only, and without any the variable is not even set.
    """
    prefixes = [prefix for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    if (Path(sys.prefix) / "share/ament_index/resource_index/packages").is_dir() and sys.prefix not in prefixes:
        os.environ["AMENT_PREFIX_PATH"] = os.pathsep.join([*prefixes, sys.prefix])


def main(argv: Sequence[str] | None = None) -> int | str | None:
    """Run ``ros2`` with ``argv`` (default: the process's) and return what ``sys.exit`` takes."""
    add_wheels_to_ament_index()
    try:
        parser = build_parser(argv)
    except Unsupported as error:
        return str(error)
    with contextlib.suppress(ImportError):
        import argcomplete

        argcomplete.autocomplete(parser, exclude=["-h", "--help"])
    args = parser.parse_args(argv)
    if not args.use_python_default_buffering:
        with contextlib.suppress(AttributeError):  # a captured stdout need not be a text stream
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if args._command is None:
        parser.print_help()
        return 0
    try:
        return args._extension.main(parser=args._parser, args=args)
    except KeyboardInterrupt:
        return int(signal.SIGINT)
    except BrokenPipeError:  # `ros2 topic echo /x | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + int(signal.SIGPIPE)
    except RuntimeError as error:
        return str(error)
    except Exception as error:
        # rclpy's own class is not imported here, so that commands without a graph start quickly
        if type(error).__name__ == "ExternalShutdownException":
            return int(signal.SIGTERM)
        raise


if __name__ == "__main__":
    sys.exit(main())
