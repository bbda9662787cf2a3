# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = "cv_bridge"

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
    description="Conversion between image messages and NumPy arrays, for machines without ROS 2.",
    license="Apache-2.0",
    entry_points={"console_scripts": []},
)
