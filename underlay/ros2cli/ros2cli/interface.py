# SPDX-License-Identifier: Apache-2.0
"""``ros2 interface``: message, service and action definitions of the ament index."""

import sys
from typing import ClassVar

from ros2cli.api.definitions import interface_path, nested_type, split_type
from ros2cli.command import VerbExtension, VerbGroup

_TITLES = {"msg": "Messages", "srv": "Services", "action": "Actions"}


class InterfaceCommand(VerbGroup):
    """Show information about ROS interfaces."""

    verbs: ClassVar[dict[str, str]] = {
        "list": "ros2cli.interface:ListVerb",
        "package": "ros2cli.interface:PackageVerb",
        "packages": "ros2cli.interface:PackagesVerb",
        "show": "ros2cli.interface:ShowVerb",
    }
    elsewhere = ("proto",)


def _add_kind_arguments(parser, group=None):
    target = group or parser
    target.add_argument("-m", "--only-msgs", action="store_true", help="Print out only the message types")
    target.add_argument("-s", "--only-srvs", action="store_true", help="Print out only the service types")
    target.add_argument("-a", "--only-actions", action="store_true", help="Print out only the action types")


def _chosen_kinds(args):
    flags = {"msg": args.only_msgs, "srv": args.only_srvs, "action": args.only_actions}
    return tuple(kind for kind in flags if flags[kind] or not any(flags.values()))


class ListVerb(VerbExtension):
    """List all interface types available."""

    def add_arguments(self, parser, cli_name):
        """Declare the kinds to list."""
        _add_kind_arguments(parser)

    def main(self, *, args):
        """Print ``package/kind/Type``, one a line, under a title for each kind."""
        from ros2cli.api.interfaces import interface_packages, interfaces_of

        for kind in _chosen_kinds(args):
            print(f"{_TITLES[kind]}:")
            for package in interface_packages():
                for name in interfaces_of(package, (kind,)):
                    print(f"    {package}/{name}")


class PackagesVerb(VerbExtension):
    """Output a list of packages that provide interfaces."""

    def add_arguments(self, parser, cli_name):
        """Declare the kinds to look for."""
        _add_kind_arguments(parser)

    def main(self, *, args):
        """Print one package a line."""
        from ros2cli.api.interfaces import interface_packages, interfaces_of

        for package in interface_packages():
            if interfaces_of(package, _chosen_kinds(args)):
                print(package)


def _complete_package(**_kwargs):
    from ros2cli.api.interfaces import interface_packages

    return interface_packages()


class PackageVerb(VerbExtension):
    """Output a list of available interface types within one package."""

    def add_arguments(self, parser, cli_name):
        """Declare the package and the kinds to list."""
        argument = parser.add_argument("package_name", help="Name of the ROS package (e.g. 'example_interfaces')")
        argument.completer = _complete_package
        _add_kind_arguments(parser)

    def main(self, *, args):
        """Print ``package/kind/Type``, one a line."""
        from ros2cli.api.interfaces import interfaces_of

        try:
            names = interfaces_of(args.package_name, _chosen_kinds(args))
        except LookupError:
            return f"Unknown package '{args.package_name}'"
        for name in names:
            print(f"{args.package_name}/{name}")
        return None


def _complete_any_type(**_kwargs):
    from ros2cli.api.interfaces import complete_type

    return complete_type("msg", "srv", "action")()


class ShowVerb(VerbExtension):
    """Output the interface definition."""

    def add_arguments(self, parser, cli_name):
        """Declare the type and how much of the comments to show."""
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "--all-comments",
            action="store_true",
            help="Show all comments, including for nested interface definitions",
        )
        group.add_argument("--no-comments", action="store_true", help="Show no comments or whitespace")
        argument = parser.add_argument(
            "type",
            help="Show an interface definition (e.g. 'example_interfaces/msg/String'). Passing '-' reads the argument "
            "from stdin (e.g. 'ros2 topic type /chatter | ros2 interface show -').",
        )
        argument.completer = _complete_any_type

    def main(self, *, args):
        """Print the definition, nested messages indented by tabs below their field."""
        name = args.type
        if name == "-":
            if sys.stdin.isatty():
                return "expected stdin pipe"
            name = sys.stdin.readline().strip()
        if name.count("/") != 2:
            return f"Invalid name '{name}'. Expected three parts separated by '/'"
        try:
            show(name, comments=not args.no_comments, nested_comments=args.all_comments)
        except (LookupError, ValueError) as error:
            return str(error.args[0])
        return None


def show(name: str, *, comments: bool, nested_comments: bool, depth: int = 0) -> None:
    """Print the definition of ``name`` with its nested messages, ``depth`` tabs in.

    Raises:
        LookupError: there is no such interface.
        ValueError: the name is malformed.
    """
    package, _, _ = split_type(name)
    for line in interface_path(name).read_text(encoding="utf-8").splitlines():
        text = line.rstrip()
        code = code_part(text)
        if comments:
            print("\t" * depth + text if text else "")
        elif code:
            print("\t" * depth + code)
        words = code.split()
        if len(words) < 2:
            continue
        nested = nested_type(words[0], package)
        if nested is not None:
            show(
                nested.replace("/", "/msg/"),
                comments=nested_comments,
                nested_comments=nested_comments,
                depth=depth + 1,
            )


def code_part(line: str) -> str:
    """``line`` without its comment; a ``#`` inside quotes is no comment."""
    quote = None
    for index, char in enumerate(line):
        if quote:
            quote = None if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "#":
            return line[:index].strip()
    return line.strip()
