# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from grasp_core.geometry import transform
from grasp_sim.description import frame_in, split

URDF = """
<robot name="r">
  <link name="world"/>
  <link name="table"><collision><geometry><box size="1 1 0.1"/></geometry></collision></link>
  <joint name="t" type="fixed"><parent link="world"/><child link="table"/><origin xyz="0 0 -0.05"/></joint>
  <link name="arm"><inertial><mass value="2"/>
    <inertia ixx="0.1" iyy="0.1" izz="0.1" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="j" type="revolute"><parent link="world"/><child link="arm"/><origin xyz="0 0 1"/><axis xyz="0 0 1"/>
    <limit lower="-1" upper="2" velocity="3" effort="4"/></joint>
  <link name="tool"><inertial><mass value="1"/><inertia ixx="0" iyy="0" izz="0" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><geometry><sphere radius="0.1"/></geometry></collision></link>
  <joint name="w" type="fixed"><parent link="arm"/><child link="tool"/>
    <origin xyz="0.3 0 0" rpy="0 0 1.5707963"/></joint>
  <link name="tip"/>
  <joint name="f" type="fixed"><parent link="tool"/><child link="tip"/><origin xyz="0.1 0 0"/></joint>
</robot>"""


def test_welds_what_hangs_together():
    cut = split(URDF)
    assert list(cut.joints) == ["j"]
    assert (cut.joints["j"].lower, cut.joints["j"].upper, cut.joints["j"].effort) == (-1.0, 2.0, 4.0)
    link, T = cut.anchors["tip"]
    assert link == "arm"
    # 0.3 along x, then 0.1 along the turned x, which is y.
    assert np.allclose(T[:3, 3], (0.3, 0.1, 0.0), atol=1e-6)
    assert cut.anchors["table"][0] == "world"
    assert "table" in cut.static_urdf
    assert "table" not in cut.robot_urdf


def test_masses_and_inertias_add_up():
    root = __import__("xml.etree.ElementTree", fromlist=["x"]).fromstring(split(URDF).robot_urdf)
    inertial = root.find("link[@name='arm']/inertial")
    assert float(inertial.find("mass").get("value")) == pytest.approx(3.0)
    xyz = [float(v) for v in inertial.find("origin").get("xyz").split()]
    assert xyz == pytest.approx([0.1, 0.0, 0.0], abs=1e-6)
    moments = sorted(float(inertial.find("inertia").get(k)) for k in ("ixx", "iyy", "izz"))
    # Two bodies 0.3 m apart: 2 * 0.1^2 + 1 * 0.2^2 about y and z on top of the arm's own 0.1.
    assert moments == pytest.approx([0.1, 0.16, 0.16], abs=1e-5)


def test_frames_on_the_same_link():
    cut = split(URDF)
    assert np.allclose(frame_in(cut, "tip", "tool"), transform((0.1, 0.0, 0.0)), atol=1e-9)
    with pytest.raises(KeyError, match="no fixed transform"):
        frame_in(cut, "tip", "table")


def test_two_roots_are_refused():
    with pytest.raises(ValueError, match="one root"):
        split("<robot name='r'><link name='a'/><link name='b'/></robot>")
