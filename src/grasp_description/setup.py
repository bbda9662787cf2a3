# SPDX-License-Identifier: Apache-2.0
import os

from setuptools import find_packages, setup

package_name = "grasp_description"


def tree(folder: str) -> list[tuple[str, list[str]]]:
    """List every file below `folder` as (destination, files) for data_files.

    `folder` is a link inside this package to the folder of the same name at the root of the workspace: paths stay
    inside of the package, as colcon's symlink install wants them. A symlinked build keeps links to files that are gone:
    those are passed over.
    """
    listed = []
    for here, _, names in sorted(os.walk(folder, followlinks=True)):
        files = [path for name in sorted(names) if os.path.isfile(path := os.path.join(here, name))]
        if files:
            listed.append((os.path.join("share", package_name, here), files))
    return listed


setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [os.path.join("resource", package_name)]),
        (os.path.join("share", package_name), ["package.xml"]),
        *tree("urdf"),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="Grasp maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-9ef2b43f.example",
    description="The five robot cells: xacro, SRDF and a RobotModel with kinematics and collision checking.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["make_srdf = grasp_description.make_srdf:main"]},
)
