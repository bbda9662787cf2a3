# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = "ros2cli"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + package_name]),
        ("share/" + package_name, ["package.xml"]),
    ],
    install_requires=["setuptools", "argcomplete", "mcap", "numpy", "PyYAML", "rosbags"],
    zip_safe=True,
    maintainer="Grasp maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-9ef2b43f.example",
    description="Stand-in for the ros2 command: the part this workspace uses",
    license="Apache-2.0",
    entry_points={
        "console_scripts": ["ros2 = ros2cli.cli:main"],
        "ros2cli.command": [
            "action = ros2cli.action:ActionCommand",
            "bag = ros2cli.bag:BagCommand",
            "interface = ros2cli.interface:InterfaceCommand",
            "launch = ros2cli.launch:LaunchCommand",
            "node = ros2cli.node:NodeCommand",
            "param = ros2cli.param:ParamCommand",
            "pkg = ros2cli.pkg:PkgCommand",
            "run = ros2cli.run:RunCommand",
            "service = ros2cli.service:ServiceCommand",
            "topic = ros2cli.topic:TopicCommand",
        ],
    },
)
