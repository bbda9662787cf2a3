# SPDX-License-Identifier: Apache-2.0
import os

from setuptools import find_packages, setup

package_name = "grasp_bringup"


def tree(folder):
    """Every file below `folder` as (destination, files) for data_files.

    `folder` is a link inside this package to the folder of that name at the root of the workspace: paths stay inside
    of the package, as colcon's symlink install wants them. A symlinked build keeps links to files that are gone: those
    are passed over.
    """
    listed = []
    for here, _, names in sorted(os.walk(folder, followlinks=True)):
        paths = [os.path.join(here, name) for name in sorted(names)]
        files = [path for path in paths if os.path.isfile(path) and "__pycache__" not in path]
        if files:
            listed.append((os.path.join("share", package_name, here), files))
    return listed


setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        *tree("launch"),
        *tree("config"),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=True,
    maintainer="Grasp maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-9ef2b43f.example",
    description="Launch files, their blocks, and the configuration of every cell.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "smoke_cell_node = grasp_bringup.smoke_cell_node:main",
            "smoke_policy_node = grasp_bringup.smoke_policy_node:main",
        ]
    },
)
