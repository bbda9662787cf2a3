# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import trimesh

from grasp_core.config import ConfigError
from grasp_sim.objects import BrokenModelError, ObjectSet, ObjectSetConfig, load_object_set
from grasp_sim.objects.folder import find_models


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GRASP_CACHE_DIR", str(tmp_path / "cache"))
    models = tmp_path / "models"
    (models / "003_cracker" / "google_16k").mkdir(parents=True)
    trimesh.creation.box((0.2, 0.1, 0.05)).export(models / "003_cracker" / "google_16k" / "textured.obj")
    trimesh.creation.icosphere(radius=0.03).export(models / "ball.stl")
    # Two boxes at a right angle: not convex.
    angle = trimesh.util.concatenate(
        [
            trimesh.creation.box((0.1, 0.02, 0.02)),
            trimesh.creation.box((0.02, 0.1, 0.02)).apply_translation((0.06, 0.04, 0)),
        ]
    )
    angle.export(models / "angle.ply")
    return models


def test_random_set_splits_without_overlap():
    train, test = load_object_set("random", "train"), load_object_set("random", "test")
    assert (len(train.names), len(test.names)) == (900, 100)
    assert not set(train.names) & set(test.names)
    assert all(name.endswith("0") for name in test.names)


def test_nine_blocks():
    blocks = load_object_set("blocks")
    assert len(blocks.names) == 9
    rng = np.random.default_rng(0)
    for name in blocks.names:
        model = blocks.model(name, rng)
        assert min(model.extents_m) > 0.015
        assert max(model.extents_m) < 0.12
        assert 0.01 < model.mass_kg < 0.2


def test_finds_folders_and_files(folder):
    assert set(find_models(str(folder))) == {"003_cracker", "ball", "angle"}
    with pytest.raises(ConfigError, match="no folder"):
        find_models(str(folder / "nothing"))


def test_scales_weighs_and_decomposes(folder):
    config = ObjectSetConfig(kind="folder", path=str(folder), max_extent_m=(0.1, 0.1), density_kg_m3=(500.0, 500.0))
    objects = ObjectSet("mine", config)
    rng = np.random.default_rng(0)
    box = objects.model("003_cracker", rng)
    assert box.extents_m == pytest.approx((0.1, 0.05, 0.025), rel=1e-3)
    assert box.mass_kg == pytest.approx(500.0 * 0.1 * 0.05 * 0.025, rel=0.01)
    assert box.inertia[2] == pytest.approx(box.mass_kg / 12 * (0.1**2 + 0.05**2), rel=0.02)
    angle = objects.model("angle", rng)
    assert len(angle.shape.convex_parts) >= 2
    cached = [part.stat().st_mtime_ns for part in angle.shape.convex_parts]
    from grasp_sim.objects.meshes import prepare

    prepare.cache_clear()
    again = objects.model("angle", rng)
    assert [part.stat().st_mtime_ns for part in again.shape.convex_parts] == cached


@pytest.mark.parametrize("content", [b"", b"v 0 0 0\nf 1 2 3\n", b"\x00\xff rubbish"])
def test_broken_file_is_refused_by_name(folder, content):
    (folder / "broken.obj").write_bytes(content)
    objects = ObjectSet("mine", ObjectSetConfig(kind="folder", path=str(folder)))
    with pytest.raises(BrokenModelError, match="broken"):
        objects.model("broken", np.random.default_rng(0))
    # The others are still there, and the broken one is counted.
    models = objects.sample(np.random.default_rng(0), 4)
    assert "broken" not in {model.name for model in models}
    assert objects.filtered == 1


def test_thin_objects_are_left_out_and_counted(folder):
    trimesh.creation.box((0.1, 0.1, 0.002)).export(folder / "sheet.obj")
    objects = ObjectSet("mine", ObjectSetConfig(kind="folder", path=str(folder)))
    names = {model.name for model in objects.sample(np.random.default_rng(0), 8)}
    assert "sheet" not in names
    assert objects.filtered == 1
    assert "shortest edge" in objects.left_out["sheet"]


def test_extents_mass_and_colour_vary():
    objects = load_object_set("primitives")
    models = objects.sample(np.random.default_rng(0), 30)
    # Light ones are clamped to the least mass.
    assert len({m.mass_kg for m in models}) > 5
    for values in ([m.extents_m[0] for m in models], [m.colour for m in models]):
        assert len(set(values)) > 20


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match="needs path"):
        ObjectSetConfig.from_mapping({"kind": "folder"})
    with pytest.raises(ConfigError, match="no object set"):
        load_object_set("nothing")
