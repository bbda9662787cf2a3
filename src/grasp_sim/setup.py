# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = "grasp_sim"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed", "data/*/*.obj", "data/*/*.yaml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy", "scipy", "pybullet", "trimesh", "coacd", "gymnasium", "tyro", "tqdm"],
    extras_require={"test": ["pytest"]},
    zip_safe=False,
    maintainer="Grasp maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-9ef2b43f.example",
    description="PyBullet worlds of the robot cells: physics, controllers, cameras, object sets, scenes, SimCell.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "pick_check = grasp_sim.pick_check:main",
            "sim_bridge_node = grasp_sim.sim_bridge_node:main",
        ]
    },
)
