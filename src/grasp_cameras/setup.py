# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = "grasp_cameras"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy", "scipy", "pydantic", "PyYAML", "opencv-contrib-python-headless"],
    zip_safe=True,
    maintainer="Grasp maintainers",
    maintainer_email="maintainers@users.noreply.b-seed-9ef2b43f.example",
    description="Cameras of every cell: drivers, reconnecting streams, calibration, and the node that publishes them.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "camera_node = grasp_cameras.camera_node:main",
            "calibrate_node = grasp_cameras.calibrate_node:main",
            "make_board = grasp_cameras.calibration.make_board:main",
        ],
        "grasp.cameras": [
            "realsense = grasp_cameras.drivers.realsense:RealSense",
            "kinect_v2 = grasp_cameras.drivers.kinect_v2:KinectV2",
            "azure_kinect = grasp_cameras.drivers.azure_kinect:AzureKinect",
            "uvc = grasp_cameras.drivers.uvc:Uvc",
            "folder = grasp_cameras.drivers.folder:Folder",
            "mcap = grasp_cameras.drivers.mcap:Mcap",
            "simulated = grasp_cameras.drivers.simulated:Simulated",
        ],
    },
)
