# SPDX-License-Identifier: Apache-2.0
"""The xacro files expand to sound URDFs; limits equal the published ones; the meshes are the script's."""

import itertools
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import trimesh

from grasp_description import RobotModel, cell_srdf, cell_urdf, cells, load_cell, load_gripper, load_robot, resolve
from grasp_description.resources import share_folder
from grasp_description.specs import JointLimits, RobotSpec, build
from grasp_description.srdf import parse_srdf

REPOSITORY = Path(__file__).resolve().parents[3]
DEG = np.pi / 180

# robot: joint -> (lower, upper, velocity, effort) as published, in rad, m, Nm, N
PUBLISHED = {
    "ur5": {
        name: (-reach, reach, np.pi, effort)
        for name, reach, effort in (
            ("shoulder_pan_joint", 2 * np.pi, 150),
            ("shoulder_lift_joint", 2 * np.pi, 150),
            ("elbow_joint", np.pi, 150),
            ("wrist_1_joint", 2 * np.pi, 28),
            ("wrist_2_joint", 2 * np.pi, 28),
            ("wrist_3_joint", 2 * np.pi, 28),
        )
    },
    **{
        f"iiwa{model}": {
            f"lbr_A{i + 1}": (-reach * DEG, reach * DEG, speed * DEG, effort)
            for i, (reach, speed, effort) in enumerate(
                zip((170, 120, 170, 120, 170, 120, 175), speeds, efforts, strict=True)
            )
        }
        for model, speeds, efforts in (
            ("7", (98, 98, 100, 130, 140, 180, 180), (176, 176, 110, 110, 110, 40, 40)),
            ("14", (85, 85, 100, 75, 130, 135, 135), (320, 320, 176, 176, 110, 40, 40)),
        )
    },
    "baxter": {
        f"{side}_{joint}": values
        for side in ("left", "right")
        for joint, values in {
            "s0": (-1.70167993878, 1.70167993878, 1.5, 50),
            "s1": (-2.147, 1.047, 1.5, 100),
            "e0": (-3.05417993878, 3.05417993878, 1.5, 50),
            "e1": (-0.05, 2.618, 1.5, 50),
            "w0": (-3.059, 3.059, 4.0, 15),
            "w1": (-1.57079632679, 2.094, 4.0, 15),
            "w2": (-3.059, 3.059, 4.0, 15),
        }.items()
    },
    "hsr": {
        "arm_lift_joint": (0, 0.69, 0.2, 300),
        "arm_flex_joint": (-2.62, 0, 1.2, 100),
        "arm_roll_joint": (-2.09, 3.84, 2.0, 100),
        "wrist_flex_joint": (-1.92, 1.22, 1.5, 100),
        "wrist_roll_joint": (-1.92, 3.67, 1.5, 100),
        "head_pan_joint": (-3.84, 1.75, 1.0, 100),
        "head_tilt_joint": (-1.57, 0.52, 1.0, 100),
    },
    "staubli_tx60": {
        f"joint_{i + 1}": (low * DEG, high * DEG, speed * DEG, effort)
        for i, (low, high, speed, effort) in enumerate(
            (
                (-180, 180, 435, 126),
                (-127.5, 127.5, 410, 71),
                (-142.5, 142.5, 540, 38),
                (-270, 270, 995, 7),
                (-122.5, 132.5, 1065, 8),
                (-270, 270, 1445, 2),
            )
        )
    },
}


def variants():
    for cell in cells():
        for variant, prefix, coupling in itertools.product(
            load_cell(cell).each_variant(), ("", "left_cell_"), ("mimic", "free")
        ):
            yield pytest.param(
                cell,
                {"prefix": prefix, "coupling": coupling, **variant},
                id=f"{cell}-{prefix}-{coupling}-{'-'.join(variant.values())}",
            )


@pytest.mark.parametrize(
    ("robot", "count"), [("ur5", 6), ("iiwa7", 7), ("iiwa14", 7), ("baxter", 14), ("hsr", 7), ("staubli_tx60", 6)]
)
def test_limits_are_the_published_ones(robot, count):
    spec, compared = load_robot(robot), 0
    for joint, published in PUBLISHED[robot].items():
        limit = spec.joints[joint]
        np.testing.assert_allclose(
            (limit.lower, limit.upper, limit.velocity, limit.effort), published, rtol=1e-6, err_msg=joint
        )
        compared += 1
    assert compared == count
    arm_joints = {
        joint for name, group in spec.groups.items() if "arm" in name or name == "head" for joint in group.joints
    }
    assert arm_joints - set(PUBLISHED[robot]) <= {"head_pan"}


@pytest.mark.parametrize(("cell", "arguments"), list(variants()))
def test_urdf_is_sound(cell, arguments):
    root = ElementTree.fromstring(cell_urdf(cell, **arguments))
    links = [link.get("name") for link in root.findall("link")]
    joints = [joint.get("name") for joint in root.findall("joint")]
    assert len(set(links)) == len(links)
    assert len(set(joints)) == len(joints)
    children = [joint.find("child").get("link") for joint in root.findall("joint")]
    assert len(set(children)) == len(children)
    assert set(links) - set(children) == {"world"}
    assert {joint.find("parent").get("link") for joint in root.findall("joint")} <= set(links)

    mimics = [joint.find("mimic").get("joint") for joint in root.findall("joint") if joint.find("mimic") is not None]
    assert set(mimics) <= set(joints)
    assert bool(mimics) == (arguments["coupling"] == "mimic")
    prefix = arguments["prefix"]
    for joint in root.findall("joint"):
        if joint.get("type") != "fixed":
            assert joint.get("name").startswith(prefix)
            limit = joint.find("limit")
            assert float(limit.get("lower")) < float(limit.get("upper"))
    spec = load_cell(cell)
    for effector in spec.end_effectors:
        assert f"{prefix}{effector.prefix}{load_gripper(effector.gripper).tcp_frame}" in links
    for camera in spec.cameras.values():
        assert {camera["link"], camera["optical_frame"]} <= {link.removeprefix(prefix) for link in links}


@pytest.mark.parametrize("cell", cells())
def test_inertials_are_possible(cell):
    checked = 0
    for link in ElementTree.fromstring(cell_urdf(cell)).findall("link"):
        inertial = link.find("inertial")
        shapes = link.findall("collision")
        if inertial is None:
            assert not shapes, f"{link.get('name')} has shapes but no mass"
            continue
        assert float(inertial.find("mass").get("value")) > 0
        values = {key: float(value) for key, value in inertial.find("inertia").attrib.items()}
        matrix = np.array([[values["i" + "".join(sorted(a + b))] for b in "xyz"] for a in "xyz"])
        a, b, c = np.linalg.eigvalsh(matrix)
        assert a > 0, link.get("name")
        assert a + b >= c * (1 - 1e-3), link.get("name")
        checked += 1
    assert checked > 8


@pytest.mark.parametrize("cell", cells())
def test_camera_optical_frames_follow_rep_103(cell):
    model = RobotModel.from_cell(cell)
    q = model.state("ready")
    for camera in load_cell(cell).cameras.values():
        body, optical = model.fk(q, camera["link"])[:3, :3], model.fk(q, camera["optical_frame"])[:3, :3]
        np.testing.assert_allclose(optical[:, 2], body[:, 0], atol=1e-9)
        np.testing.assert_allclose(optical[:, 0], -body[:, 1], atol=1e-9)
        np.testing.assert_allclose(optical[:, 1], -body[:, 2], atol=1e-9)


@pytest.mark.parametrize("cell", cells())
def test_own_meshes_resolve_and_vendor_meshes_are_named(cell):
    own = ElementTree.fromstring(cell_urdf(cell))
    uris = {mesh.get("filename") for mesh in own.iter("mesh")}
    assert uris
    for uri in uris:
        assert uri.startswith("package://grasp_description/urdf/meshes/")
        assert resolve(uri).is_file()
    assert "package://" not in cell_urdf(cell, expand_uris=True)
    vendor = {mesh.get("filename") for mesh in ElementTree.fromstring(cell_urdf(cell, meshes="vendor")).iter("mesh")}
    assert any(not uri.startswith("package://grasp_description/") for uri in vendor)
    with pytest.raises(FileNotFoundError, match="meshes:=own"):
        cell_urdf(cell, meshes="vendor", expand_uris=True)


@pytest.mark.parametrize("cell", cells())
def test_srdf_of_a_prefixed_cell_names_its_links(cell):
    prefix = "a_"
    links = {link.get("name") for link in ElementTree.fromstring(cell_urdf(cell, prefix=prefix)).findall("link")}
    srdf = parse_srdf(cell_srdf(cell, prefix))
    assert all(set(pair) <= links for pair in srdf.disabled)
    assert all(effector.parent_link in links for effector in srdf.end_effectors)
    assert any(link.startswith(prefix) for pair in srdf.disabled for link in pair)


def test_unknown_names_and_values_are_refused():
    with pytest.raises(FileNotFoundError, match="it has: baxter"):
        cell_urdf("kitchen")
    with pytest.raises(ValueError, match="no xacro argument colour"):
        cell_urdf("ur5", colour="red")
    with pytest.raises(ValueError, match="not one of 7, 14"):
        load_cell("iiwa").robot_spec({"model": "21"})
    with pytest.raises(Exception, match="use own or vendor"):
        cell_urdf("ur5", meshes="none")
    with pytest.raises(Exception, match="use mimic or free"):
        cell_urdf("ur5", coupling="glue")


def test_specs_refuse_unknown_keys_and_impossible_values():
    good = {"lower": -1.0, "upper": 1.0, "velocity": 1.0, "effort": 1.0, "acceleration": 1.0, "jerk": 1.0}
    with pytest.raises(ValueError, match="unknown key torque"):
        build(JointLimits, {**good, "torque": 3.0}, "here")
    with pytest.raises(ValueError, match=r"lower = 1.0 must be below upper = 1.0"):
        build(JointLimits, {**good, "lower": 1.0}, "here")
    with pytest.raises(ValueError, match="velocity = 0"):
        build(JointLimits, {**good, "velocity": 0.0}, "here")
    group = {"base": "a", "tip": "b", "joints": ["j"], "states": {"ready": [2.0]}}
    with pytest.raises(ValueError, match="outside"):
        RobotSpec(name="r", root="a", joints={"j": good}, groups={"arm": group}, vendor_looks={})


def test_meshes_are_light_and_closed():
    folder = share_folder() / "urdf" / "meshes"
    files = sorted(folder.rglob("*.obj"))
    assert len(files) > 100
    assert sum(path.stat().st_size for path in files) < 3_000_000
    for path in files:
        mesh = trimesh.load(path, force="mesh", process=False)
        mesh.merge_vertices(merge_norm=True)
        assert np.abs(mesh.bounds).max() < 1.0, path.name
        # slivers thinner than the 0.1 mm of the file's grid are left out, so a few edges may be open
        open_edges = len(mesh.edges_unique) * 2 - len(mesh.edges)
        assert open_edges <= 0.03 * len(mesh.edges), path.name


def test_script_reproduces_the_meshes(tmp_path):
    script = REPOSITORY / "scripts" / "make_meshes.py"
    if not script.is_file():
        pytest.skip("scripts/make_meshes.py is only in a source checkout")
    subprocess.run([sys.executable, str(script), "--out", str(tmp_path)], check=True, capture_output=True, timeout=100)
    committed = share_folder() / "urdf" / "meshes"
    names = {path.relative_to(committed) for path in committed.rglob("*") if path.is_file()}
    assert names == {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    for name in sorted(names):
        old, new = committed / name, tmp_path / name
        if old.read_bytes() == new.read_bytes():
            continue
        # another qhull may split flat faces differently: same shape is enough
        assert name.suffix == ".obj", name
        a, b = (trimesh.load(path, force="mesh", process=False) for path in (old, new))
        np.testing.assert_allclose(a.bounds, b.bounds, atol=1e-4)
        assert abs(a.area - b.area) < 0.01 * a.area, name
