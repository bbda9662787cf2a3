# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = "grasp_control"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy", "scipy", "pydantic", "tyro", "ur_rtde", "pymodbus"],
    zip_safe=True,
    maintainer="Grasp maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-9ef2b43f.example",
    description="Hardware drivers of arms and grippers, their nodes, and loopback controllers.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "arm_node = grasp_control.arm_node:main",
            "gripper_node = grasp_control.gripper_node:main",
            "loopback_node = grasp_control.loopback_node:main",
        ],
        "grasp.drivers": [
            "ur_rtde = grasp_control.ur_arm:UrArm",
            "rg2_modbus = grasp_control.rg2_modbus:Rg2Modbus",
            "rg2_digital = grasp_control.rg2_digital:Rg2Digital",
        ],
    },
)
