# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = "grasp_episodes"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=[
        "setuptools",
        "numpy",
        "pydantic",
        "opencv-contrib-python-headless",
        "mcap",
        "mcap-ros2-support",
        "PyYAML",
        "pyarrow",
        "scipy",
        "tyro",
        "zstandard",
    ],
    extras_require={"test": ["pytest"]},
    zip_safe=True,
    maintainer="Grasp maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-9ef2b43f.example",
    description="Episodes on a running graph: RosCell, the episode manager, its judges, the recorder.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "export = grasp_episodes.export:main",
            "episode_manager_node = grasp_episodes.episode_manager_node:main",
            "recorder_node = grasp_episodes.recorder_node:main",
            "run_episodes = grasp_episodes.run_episodes_node:main",
        ],
        "grasp.cells": ["ros = grasp_episodes.ros_cell:RosCell"],
    },
)
