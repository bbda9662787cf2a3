# SPDX-License-Identifier: Apache-2.0
"""``ros2 pkg``: what the ament index knows."""

from typing import ClassVar

from ros2cli.api import packages
from ros2cli.command import VerbExtension, VerbGroup


class PkgCommand(VerbGroup):
    """Various package related sub-commands."""

    verbs: ClassVar[dict[str, str]] = {
        "executables": "ros2cli.pkg:ExecutablesVerb",
        "list": "ros2cli.pkg:ListVerb",
        "prefix": "ros2cli.pkg:PrefixVerb",
    }
    elsewhere = ("create", "xml")


class ListVerb(VerbExtension):
    """Output a list of available packages."""

    def main(self, *, args):
        """Print one package a line."""
        for name in packages.package_names():
            print(name)


class PrefixVerb(VerbExtension):
    """Output the prefix path of a package."""

    def add_arguments(self, parser, cli_name):
        """Declare the package and ``--share``."""
        parser.add_argument("package_name", help="The package name").completer = packages.complete_package
        parser.add_argument("--share", action="store_true", help="Show share directory for the package")

    def main(self, *, args):
        """Print the prefix, or the share folder."""
        path = (packages.package_share if args.share else packages.package_prefix)(args.package_name)
        if path is None:
            return "Package not found"
        print(path)
        return None


class ExecutablesVerb(VerbExtension):
    """Output a list of package specific executables."""

    def add_arguments(self, parser, cli_name):
        """Declare the package and ``--full-path``."""
        argument = parser.add_argument("package_name", nargs="?", help="The package name")
        argument.completer = packages.complete_package
        parser.add_argument("--full-path", action="store_true", help="Show full path of each executable")

    def main(self, *, args):
        """Print ``package executable`` or the full path, one a line."""
        names = packages.package_names() if args.package_name is None else [args.package_name]
        for name in names:
            for path in packages.executables(name):
                print(path if args.full_path else f"{name} {path.name}")
