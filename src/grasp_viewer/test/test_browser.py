# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser without a window: it draws, it shows pictures, its buttons arrive, it asks nobody else."""

import io
import shutil
import socket

import numpy as np
import pytest
from PIL import Image

from grasp_core import resources
from grasp_core.actions import Grasp
from grasp_core.cell_config import CellConfig
from grasp_core.geometry import top_down
from grasp_core.policy import Candidate, Decision
from grasp_description import cell_urdf
from grasp_viewer.config import ViewerConfig
from grasp_viewer.panels import Counts
from grasp_viewer.robot import Robot
from grasp_viewer.viewer import Viewer

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements/dev.txt)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; install it with: apt-get install chromium"),
]
PINK, LIME = (255, 0, 200), (150, 255, 0)
ORANGE = (255, 120, 0)
WAIT_MS = 60_000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def viewer():
    cell = CellConfig.from_yaml(resources.find("config", "cells/ur5.yaml"))
    page = Viewer(ViewerConfig(port=free_port()), cell)
    yield page
    page.close()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        # The sandbox wants rights that root in a container does not have.
        arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def page(viewer, browser):
    """The page with everything on it, and the addresses that it asked for."""
    viewer.scene.show_robot(Robot(cell_urdf("ur5")), "world")
    viewer.scene.move_robot({"shoulder_lift_joint": -1.4, "elbow_joint": 1.5})
    grid = np.stack(np.meshgrid(np.linspace(0.3, 0.7, 120), np.linspace(-0.2, 0.2, 120)), axis=-1).reshape(-1, 2)
    cloud = np.column_stack([grid, np.full(len(grid), 0.01)])
    viewer.scene.show_cloud(cloud, np.tile(np.array(ORANGE, np.uint8), (len(cloud), 1)))
    grasp = Grasp(top_down((0.5, 0.0, 0.05), 0.6), 0.08)
    viewer.scene.show_decision(Decision(grasp, 0.87, (Candidate(Grasp(top_down((0.4, 0.1, 0.05))), 0.3),)))
    viewer.panels.show_picture(np.full((90, 120, 3), PINK, np.uint8), "fixed_camera color")
    viewer.panels.offer_maps(["grasp_q", "push_q"])
    viewer.panels.show_map(np.full((90, 120, 3), LIME, np.uint8), "grasp_q")
    counts = Counts()
    counts.add_action("0: grasp 0.87 succeeded", attempted=True, succeeded=True)
    viewer.panels.tell_counts(counts)
    assert not viewer.watched
    tab = browser.new_page(viewport={"width": 1280, "height": 1000})
    tab.asked = []
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto(viewer.address, wait_until="commit")
    tab.wait_for_selector("canvas", timeout=WAIT_MS)
    tab.get_by_role("button", name="New scene").wait_for(timeout=WAIT_MS)
    return tab


def screenshot(page):
    return np.asarray(Image.open(io.BytesIO(page.screenshot(timeout=WAIT_MS))).convert("RGB")).astype(int)


def share(pixels, colour, tolerance=40):
    return float((np.abs(pixels - np.array(colour)).max(axis=-1) < tolerance).mean())


def wait_for_picture(page, good):
    """The first screenshot that is good, or the last one of a minute; drawing has no event to wait for."""
    for _ in range(40):
        pixels = screenshot(page)
        if good(pixels):
            break
        page.wait_for_timeout(500)
    return pixels


def test_robot_cloud_and_pictures_are_drawn(page, viewer):
    left = slice(0, 880)
    pixels = wait_for_picture(page, lambda p: share(p[:, left], ORANGE) > 0.005 and share(p, PINK) > 0.005)
    scene, panel = pixels[:, left], pixels[:, 880:]
    assert share(scene, ORANGE) > 0.005, "no cloud"
    assert (scene.max(axis=-1) < 140).mean() > 0.005, "no legs of the table, no gripper"
    assert len(np.unique(scene.reshape(-1, 3) // 16, axis=0)) > 40, "the canvas is almost blank"
    assert share(panel, PINK) > 0.01, "no camera picture"
    assert share(panel, LIME) > 0.01, "no map"
    assert viewer.watched


def test_a_fused_mesh_is_drawn_in_its_colours(page, viewer):
    square = np.array([[0.3, -0.2, 0.02], [0.7, -0.2, 0.02], [0.7, 0.2, 0.02], [0.3, 0.2, 0.02]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    viewer.scene.show_mesh(square, faces, np.tile(np.array((230, 0, 230), np.uint8), (4, 1)))

    def magenta(pixels):
        red, green, blue = np.moveaxis(pixels[:, :880], -1, 0)
        return float(((red > green + 60) & (blue > green + 60)).mean())

    assert magenta(wait_for_picture(page, lambda p: magenta(p) > 0.01)) > 0.01
    viewer.scene.clear_surface()


def test_what_the_episodes_do_is_told(page, viewer):
    viewer.panels.tell_state("**running** episode 1")
    page.get_by_text("running").first.wait_for(timeout=WAIT_MS)
    assert page.get_by_text("0: grasp 0.87 succeeded").count() == 1
    assert page.get_by_text("grasps held (100 %)").count() == 1


def test_pressed_buttons_arrive_with_what_stands_beside_them(page, viewer):
    requests = viewer.panels.requests
    for name, kind in (("Start", "start"), ("Stop", "stop"), ("New scene", "new_scene")):
        page.get_by_role("button", name=name, exact=True).click()
        request = requests.get(timeout=30)
        assert request.kind == kind
        assert (request.scene, request.objects, request.episodes) == ("drop", -1, 1)
    assert request.seed == 1
    assert requests.empty()


def test_the_chosen_map_can_be_changed(page, viewer):
    assert viewer.panels.map == "grasp_q"
    viewer.panels.offer_maps(["grasp_q"])
    assert viewer.panels.map == "grasp_q"
    viewer.panels.offer_maps([])
    assert viewer.panels.map == ""


def test_nothing_is_asked_of_the_rest_of_the_world(page, viewer):
    # localhost and 127.0.0.1 are the same page.
    own = ("http://localhost:", "http://127.0.0.1:", "ws://localhost:", "ws://127.0.0.1:", "blob:", "data:")
    assert [address for address in page.asked if not address.startswith(own)] == []


def test_it_listens_on_this_machine_only_and_says_where(viewer):
    port = int(viewer.address.rsplit(":", 1)[1])
    with socket.socket(socket.AF_INET) as other:
        other.settimeout(1.0)
        # Another address of this machine, which 0.0.0.0 would answer at.
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_an_address_of_another_machine_is_refused():
    cell = CellConfig.from_yaml(resources.find("config", "cells/ur5.yaml"))
    with pytest.raises(OSError, match=r"cannot listen on host .*take an address of this machine"):
        Viewer(ViewerConfig(host="203.0.113.7", port=free_port()), cell)
