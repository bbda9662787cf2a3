# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = "robot_state_publisher"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=False,
    maintainer="Grasp maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-9ef2b43f.example",
    description="Publishes the frames of a robot from its URDF and its joint states, for machines without ROS 2.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["robot_state_publisher = robot_state_publisher.robot_state_publisher_node:main"]},
)
