# SPDX-License-Identifier: Apache-2.0
import os

from setuptools import find_packages, setup

package_name = "grasp_policies"


def tree(folder):
    """Every file below `folder`, a link to the folder of that name at the root, as (destination, files)."""
    listed = []
    for here, _, names in sorted(os.walk(folder, followlinks=True)):
        files = [path for path in (os.path.join(here, name) for name in sorted(names)) if os.path.isfile(path)]
        if files:
            listed.append((os.path.join("share", package_name, here), files))
    return listed


setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        *tree("models"),
    ],
    install_requires=[
        "setuptools",
        "numpy",
        "scipy",
        "pydantic",
        "torch",
        "safetensors",
        "scikit-image",
        "scikit-learn",
    ],
    zip_safe=False,
    maintainer="Grasp maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-9ef2b43f.example",
    description="Learned grasping policies and the node that serves one.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "policy_node = grasp_policies.policy_node:main",
        ],
        "grasp.policies": [
            "highest_point = grasp_policies.highest_point:FACTORY",
            "patch_grasp = grasp_policies.patch_grasp.policy:FACTORY",
            "push_grasp = grasp_policies.push_grasp.policy:FACTORY",
        ],
        "grasp.recipes": [
            "patch_grasp = grasp_policies.patch_grasp.recipe:RECIPE",
            "push_grasp = grasp_policies.push_grasp.recipe:RECIPE",
        ],
    },
)
