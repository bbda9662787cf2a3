# SPDX-License-Identifier: Apache-2.0
"""``ros2 run``: start one executable of a package."""

import argparse
import shlex
import signal
import subprocess

from ros2cli.api import packages
from ros2cli.command import CommandExtension


def _complete_executable(prefix, parsed_args, **_kwargs):
    try:
        return [path.name for path in packages.executables(parsed_args.package_name)]
    except RuntimeError:
        return []


class RunCommand(CommandExtension):
    """Run a package specific executable."""

    def add_arguments(self, parser, cli_name, *, argv):
        """Declare ``--prefix``, package, executable and the executable's own arguments."""
        parser.add_argument(
            "--prefix",
            help="Prefix command, which should go before the executable. Command must be wrapped in quotes if it "
            "contains spaces (e.g. --prefix 'gdb -ex run --args').",
        )
        argument = parser.add_argument("package_name", help="Name of the ROS package")
        argument.completer = packages.complete_package
        parser.add_argument("executable_name", help="Name of the executable").completer = _complete_executable
        parser.add_argument("argv", nargs=argparse.REMAINDER, help="Pass arbitrary arguments to the executable")

    def main(self, *, parser, args):
        """Start the executable, wait for it and return its exit status."""
        found = [path for path in packages.executables(args.package_name) if path.name == args.executable_name]
        if not found:
            return "No executable found"
        if len(found) > 1:
            raise RuntimeError("Multiple executables found:" + "".join(f"\n- {path}" for path in found))
        command = [*shlex.split(args.prefix or ""), str(found[0]), *args.argv]
        return run_in_foreground(command)


def run_in_foreground(command: list[str]) -> int:
    """Run ``command`` to its end and return its exit status (negative: the signal that ended it).

    Ctrl-C reaches the child from the terminal; SIGTERM to this process is handed on, so that no orphan stays.
    """
    process: subprocess.Popen | None = None
    told_to_end = False

    def hand_on(*_args):
        nonlocal told_to_end
        told_to_end = True
        if process is not None:
            process.terminate()

    # handlers, not SIG_IGN, which the child would inherit; in place before the child is, so that no signal slips by
    previous = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, hand_on),
    }
    try:
        process = subprocess.Popen(command)
        if told_to_end:
            process.terminate()
        status = process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if status < 0:
        print("[ros2run]:", signal.strsignal(-status))
    elif status > 0:
        print(f"[ros2run]: Process exited with failure {status}")
    return status
