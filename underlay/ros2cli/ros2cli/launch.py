# SPDX-License-Identifier: Apache-2.0
"""``ros2 launch``: run a launch file of a package, or a launch file given by its path."""

import importlib
import os
from pathlib import Path

from ros2cli.api import packages
from ros2cli.command import CommandExtension

LAUNCH_SUFFIXES = ("launch.py",)


def _launch_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.endswith(LAUNCH_SUFFIXES) and path.is_file())


def _complete_package_or_path(prefix, **_kwargs):
    folder = Path(os.path.dirname(prefix) or ".")
    files = [path for path in folder.iterdir() if path.is_dir() or path.name.endswith(LAUNCH_SUFFIXES)]
    return packages.package_names() + [f"{path}/" if path.is_dir() else str(path) for path in files]


def _complete_file(prefix, parsed_args, **_kwargs):
    share = packages.package_share(parsed_args.package_name)
    return [] if share is None else [path.name for path in _launch_files(share)]


class LaunchCommand(CommandExtension):
    """Run a launch file."""

    def add_arguments(self, parser, cli_name, *, argv):
        """Declare upstream's options, the launch file and its ``name:=value`` arguments."""
        parser.add_argument(
            "-n",
            "--noninteractive",
            action="store_true",
            help="Run the launch system noninteractively, with no terminal associated",
        )
        parser.add_argument(
            "-d",
            "--debug",
            action="store_true",
            help="Put the launch system in debug mode, provides more verbose output.",
        )
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "-p",
            "--print",
            "--print-description",
            action="store_true",
            help="Print the launch description to the console without launching it.",
        )
        group.add_argument(
            "-s",
            "--show-args",
            "--show-arguments",
            action="store_true",
            help="Show arguments that may be given to the launch file.",
        )
        parser.add_argument(
            "-a",
            "--show-all-subprocesses-output",
            action="store_true",
            help="Show all launched subprocesses' output by overriding their output configuration "
            "using the OVERRIDE_LAUNCH_PROCESS_OUTPUT envvar.",
        )
        argument = parser.add_argument("package_name", help="Name of the ROS package which contains the launch file")
        argument.completer = _complete_package_or_path
        argument = parser.add_argument("launch_file_name", nargs="?", help="Name of the launch file")
        argument.completer = _complete_file
        parser.add_argument(
            "launch_arguments",
            nargs="*",
            help="Arguments to the launch file; '<name>:=<value>' (for duplicates, last one wins)",
        )

    def main(self, *, parser, args):
        """Find the file, then print, list its arguments, or launch it and return the launch service's status."""
        path, words = find_launch_file(args.package_name, args.launch_file_name, args.launch_arguments)
        if args.show_all_subprocesses_output:
            os.environ["OVERRIDE_LAUNCH_PROCESS_OUTPUT"] = "both"
        from launch.launch_description_sources import get_launch_description_from_any_launch_file

        import launch

        if args.print:
            description = get_launch_description_from_any_launch_file(str(path))
            print(launch.LaunchIntrospector().format_launch_description(description))
            return 0
        description = get_launch_description_from_any_launch_file(str(path))
        if args.show_args:
            print_arguments(description.get_launch_arguments())
            return 0
        values = parse_arguments(words)
        if hasattr(launch, "check_launch_arguments"):
            # the stand-in for launch refuses arguments that no file declares; upstream's ignores them
            launch.check_launch_arguments(description, values, str(path))
        return run_launch_file(path, words, values, debug=args.debug, noninteractive=args.noninteractive)


def find_launch_file(package: str, name: str | None, words: list[str]) -> tuple[Path, list[str]]:
    """The launch file meant by ``PKG FILE ...`` or ``PATH ...`` and the argument words that follow it.

    Raises:
        RuntimeError: there is no such package or file.
    """
    if name is None or (packages.package_prefix(package) is None and os.path.exists(package)):
        if not os.path.isfile(package):
            raise RuntimeError(
                f"No launch file supplied: '{package}' is not a file; say `ros2 launch PACKAGE FILE` or give a path"
            )
        return Path(package), [*([] if name is None else [name]), *words]
    return packages.share_file(package, name), list(words)


def parse_arguments(words: list[str]) -> dict[str, str]:
    """``name:=value`` words as a dict, the last of a name winning.

    Raises:
        RuntimeError: a word has another form.
    """
    values = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not separator or not name or (not value and word.count(":=") == 1):
            raise RuntimeError(f"malformed launch argument '{word}', expected format '<name>:=<value>'")
        values[name] = value
    return values


def print_arguments(declared: list) -> None:
    """Print the declared arguments the way ``ros2 launch --show-args`` does."""
    print("Arguments (pass arguments as '<name>:=<value>'):")
    conditional = False
    for argument in declared:
        star = "*" if getattr(argument, "_conditionally_included", False) else ""
        conditional = conditional or bool(star)
        text = f"\n    '{argument.name}':{star}\n        {argument.description}"
        if argument.default_value is not None:
            default = " + ".join(token.describe() for token in argument.default_value)
            text += f"\n        (default: {default})"
        print(text)
    if not declared:
        print("\n  No arguments.")
    elif conditional:
        print("\n* argument(s) which are only used if specific conditions occur")


def run_launch_file(path: Path, words: list[str], values: dict[str, str], *, debug: bool, noninteractive: bool) -> int:
    """Launch the file and return the launch service's exit status."""
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import AnyLaunchDescriptionSource

    launch = importlib.import_module("launch")

    service = launch.LaunchService(argv=words, noninteractive=noninteractive, debug=debug)
    # by include, so that the location of the current launch file is set for its substitutions
    service.include_launch_description(
        launch.LaunchDescription(
            [IncludeLaunchDescription(AnyLaunchDescriptionSource(str(path)), launch_arguments=values.items())]
        )
    )
    return service.run()
