# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = "grasp_viewer"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy", "matplotlib", "pin", "trimesh", "viser"],
    zip_safe=True,
    maintainer="Grasp maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-9ef2b43f.example",
    description="A running cell in the browser: robot, surface, pictures, decisions, episode counts and buttons.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["viewer_node = grasp_viewer.viewer_node:main"]},
)
