# SPDX-License-Identifier: Apache-2.0
"""What a command of ``ros2`` is, and how a group of verbs becomes one.

A package adds a command by naming a :class:`CommandExtension` in the entry-point group ``ros2cli.command``.
"""

import argparse
import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from typing import ClassVar


class CommandExtension:
    """One command, ``ros2 <name>``; the first line of the class's docstring is its help text."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str, *, argv: Sequence[str] | None) -> None:
        """Declare the arguments on ``parser``; ``argv`` (None: all, for completion) tells which verb was asked for."""

    def main(self, *, parser: argparse.ArgumentParser, args: argparse.Namespace) -> int | str | None:
        """Do the work and return the exit status, or a sentence to print as the error."""
        raise NotImplementedError


class VerbExtension:
    """One verb of a group, ``ros2 <group> <verb>``; the first line of the class's docstring is its help text."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Declare the verb's arguments on ``parser``."""

    def main(self, *, args: argparse.Namespace) -> int | str | None:
        """Do the work and return the exit status, or a sentence to print as the error."""
        raise NotImplementedError


class VerbGroup(CommandExtension):
    """A command made of verbs.

    ``verbs`` maps a verb to ``module:class``, imported only when asked for; ``elsewhere`` lists the verbs that an
    installed distribution has and this stand-in has not: they are refused by name.
    """

    verbs: ClassVar[dict[str, str]] = {}
    elsewhere: ClassVar[tuple[str, ...]] = ()

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str, *, argv: Sequence[str] | None) -> None:
        """Add one sub-parser for each verb; only the verb asked for imports its module and declares arguments."""
        group = cli_name.rsplit(" ", 1)[-1]
        chosen = None if argv is None else first_word(argv)
        if chosen in self.elsewhere:
            raise Unsupported(f"{group} {chosen}")
        wanted = [chosen] if chosen in self.verbs else list(self.verbs)
        subparsers = parser.add_subparsers(
            title="Verbs", metavar=f"Call `{cli_name} <verb> -h` for more detailed usage.", dest="_verb"
        )
        for name in self.verbs:
            if name not in wanted:
                subparsers.add_parser(name)
                continue
            verb = load(self.verbs[name])()
            text = summary(verb)
            child = subparsers.add_parser(name, help=text, description=text)
            verb.add_arguments(child, f"{cli_name} {name}")
            child.set_defaults(_verb_extension=verb, _verb_parser=child)

    def main(self, *, parser: argparse.ArgumentParser, args: argparse.Namespace) -> int | str | None:
        """Call the verb, or print the help when none was given."""
        verb = getattr(args, "_verb_extension", None)
        if verb is None:
            parser.print_help()
            return 0
        return verb.main(args=args)


class Unsupported(RuntimeError):
    """Something an installed ROS 2 distribution offers and this stand-in does not."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"`ros2 {what}` is not part of this workspace's stand-in for ros2cli; "
            "install a ROS 2 distribution (jazzy or newer) for it"
        )


def first_word(argv: Sequence[str]) -> str | None:
    """The first element of ``argv`` that is not an option."""
    return next((word for word in argv if not word.startswith("-")), None)


def load(target: str) -> type:
    """The class that ``module:class`` names."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def summary(extension: CommandExtension | VerbExtension) -> str:
    """The first line of the extension's docstring."""
    return (type(extension).__doc__ or "").strip().splitlines()[0]


def completing() -> bool:
    """Whether the shell asks for completions (argcomplete) rather than for work."""
    return "_ARGCOMPLETE" in os.environ


def arguments_so_far(argv: Sequence[str] | None) -> list[str]:
    """The words after ``ros2``: those given, the process's own, or those typed so far while completing."""
    if argv is not None:
        return list(argv)
    if completing():
        line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT", "0") or 0) or None]
        try:
            return shlex.split(line)[1:]
        except ValueError:  # an open quote at the cursor
            return line.split()[1:]
    return sys.argv[1:]
