# SPDX-License-Identifier: Apache-2.0
"""Image messages as NumPy arrays, for machines without ROS 2: the part of upstream that this workspace uses."""

from cv_bridge.core import CvBridge, CvBridgeError

__all__ = ["CvBridge", "CvBridgeError"]

_REFUSED = {
    "CvtColorForDisplayOptions": "scale and colour the array with OpenCV",
    "cvtColor2": "use CvBridge.imgmsg_to_cv2 with a desired_encoding, or cv2.cvtColor",
    "cvtColorForDisplay": "scale and colour the array with OpenCV",
    "getCvType": "use CvBridge.encoding_to_cvtype2",
}


def __getattr__(name: str) -> object:
    if name in _REFUSED:
        raise AttributeError(f"cv_bridge.{name} is not part of this stand-in, only of upstream; {_REFUSED[name]}")
    raise AttributeError(f"cv_bridge has no '{name}'; the stand-in offers {', '.join(__all__)}")
