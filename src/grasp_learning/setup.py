# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = "grasp_learning"

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
        "scipy",
        "pydantic",
        "torch",
        "safetensors",
        "zarr",
        "tyro",
        "filelock",
        "tqdm",
        "matplotlib",
        "tensorboard",
    ],
    zip_safe=False,
    maintainer="Grasp maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-9ef2b43f.example",
    description="Replay, collection, training and evaluation of grasping policies.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "collect = grasp_learning.collect:main",
            "train = grasp_learning.train:main",
            "evaluate = grasp_learning.evaluate:main",
            "learn = grasp_learning.learn:main",
        ],
        "grasp.exporters": ["replay = grasp_learning.export_replay:write_replay"],
    },
)
