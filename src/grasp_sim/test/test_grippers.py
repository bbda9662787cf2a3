# SPDX-License-Identifier: Apache-2.0
"""How the grippers behave with and without something between their fingers."""

import numpy as np
import pytest

from grasp_core.geometry import transform
from grasp_sim.cell import load_cell_config
from grasp_sim.gripper_drive import StallClock, StallSettings
from grasp_sim.kinematics import CellKinematics
from grasp_sim.objects.models import ObjectModel, Primitive
from grasp_sim.world import World

TWO_FINGERS = ("ur5", "iiwa", "baxter", "hsr")


@pytest.fixture(scope="module")
def worlds():
    made = {}

    def get(cell):
        if cell not in made:
            config = load_cell_config(cell)
            made[cell] = World(config, CellKinematics(config).ready(), renderer="tiny")
        made[cell].reset(0)
        return made[cell]

    yield get
    for world in made.values():
        world.close()


def drive_of(world):
    name = next(iter(world.config.arms.values())).gripper
    return world.drives[name]


def block(size_m, mass_kg, friction=None):
    inertia = tuple(mass_kg / 12.0 * v for v in (2e-3, 2e-3, 2e-3))
    return ObjectModel("block", Primitive("box", size_m), size_m, mass_kg, (0, 0, 0), inertia, None, friction)


def between_fingers(world, width_m, mass_kg=0.1, friction=None, ahead_m=0.0):
    """A block between the pads, gravity off until it is held."""
    world.api.setGravity(0, 0, 0)
    drive = drive_of(world)
    tcp = next(iter(world.config.arms.values())).tcp_frame
    offset = drive.spec.pad_offset_m(width_m) + ahead_m
    return world.add(
        block((width_m, 0.04, 0.04), mass_kg, friction), world.robot.T_base(tcp) @ transform((0, 0, offset))
    )


def close(world, force_n, limit_s=4.0):
    drive = drive_of(world)
    drive.command_width(drive.limits.min_width_m, force_n)
    world.step(2)
    assert world.step_until(lambda: drive.settled, limit_s), "the fingers never came to rest"
    return drive.state()


@pytest.mark.parametrize("cell", TWO_FINGERS)
def test_opens_and_closes_to_the_commanded_width(worlds, cell):
    world = worlds(cell)
    drive = drive_of(world)
    low, high = drive.limits.min_width_m, drive.limits.max_width_m
    for width in (0.5 * (low + high), low, high):
        drive.command_width(width, 20.0)
        world.step(2)
        assert world.step_until(lambda: drive.settled, 6.0)
        world.step(24)
        state = drive.state()
        assert state.width_m == pytest.approx(width, abs=0.0015)
        assert not state.holding
        # The coupled joints stand where the linkage puts them.
        for name, value in drive.joints_at(state.width_m).items():
            assert state.positions[name] == pytest.approx(value, abs=0.02), name


@pytest.mark.parametrize("cell", TWO_FINGERS)
def test_holds_with_the_commanded_force(worlds, cell):
    world = worlds(cell)
    drive = drive_of(world)
    force = 0.6 * drive.limits.max_force_n
    thing = between_fingers(world, 0.5 * (drive.limits.min_width_m + drive.limits.max_width_m))
    state = close(world, force)
    assert state.stalled
    assert state.holding
    world.step(60)
    forces = [
        sum(c[9] for c in world.api.getContactPoints(world.robot.body, thing.body, link)) for link in drive.finger_links
    ]
    # Each pad presses as commanded; friction and the solver take a share.
    assert forces == pytest.approx([force, force], rel=0.35)
    assert state.effort_n == pytest.approx(force, rel=0.35)


@pytest.mark.parametrize("cell", TWO_FINGERS)
def test_a_held_block_stays_and_a_slippery_heavy_one_slips(worlds, cell):
    for mass, friction, stays in ((0.1, None, True), (1.5, 0.05, False)):
        world = worlds(cell)
        drive = drive_of(world)
        width = 0.5 * (drive.limits.min_width_m + drive.limits.max_width_m)
        thing = between_fingers(world, width, mass, friction)
        close(world, 0.5 * drive.limits.max_force_n)
        before = world.pose_of(thing)[2, 3]
        world.api.setGravity(0, 0, -9.81)
        world.step(240)
        dropped = before - world.pose_of(thing)[2, 3]
        if stays:
            assert dropped < 0.004
            assert drive.state().holding
        else:
            assert dropped > 0.1
            world.step(240)
            assert not drive.state().holding


def test_both_fingers_move_together(worlds):
    """RG2: one motor; a block that one finger meets first is pushed towards the middle, the other finger keeps step."""
    world = worlds("ur5")
    drive = drive_of(world)
    thing = between_fingers(world, 0.04)
    tcp = world.config.arms["arm"].tcp_frame
    world.place(thing, world.robot.T_base(tcp) @ transform((0.02, 0, drive.spec.pad_offset_m(0.04))))
    drive.command_width(0.0, 10.0)
    worst = 0.0
    for _ in range(300):
        world.step()
        positions = world.robot.positions()
        worst = max(worst, abs(positions["finger_joint"] + positions["right_outer_knuckle_joint"]))
    assert worst < 0.01
    assert drive.state().holding
    middle = np.linalg.inv(world.robot.T_base(tcp)) @ world.pose_of(thing)
    assert abs(middle[0, 3]) < 0.004


def test_force_setting_matters(worlds):
    """A block of 0.8 kg needs more than RG2's least force of 3 N."""
    drops = {}
    for force in (3.0, 40.0):
        world = worlds("ur5")
        thing = between_fingers(world, 0.05, mass_kg=0.8, friction=0.5)
        close(world, force)
        before = world.pose_of(thing)[2, 3]
        world.api.setGravity(0, 0, -9.81)
        world.step(240)
        drops[force] = before - world.pose_of(thing)[2, 3]
    assert drops[3.0] > 0.05
    assert drops[40.0] < 0.005


def test_only_the_driver_takes_joint_commands(worlds):
    world = worlds("ur5")
    with pytest.raises(ValueError, match="no motor"):
        drive_of(world).command_joints({"left_inner_finger_joint": 0.1})


# --- the hand with breakaway fingers ---------------------------------------------------------------------------------


def test_distal_joints_follow_at_a_third(worlds):
    world = worlds("staubli")
    drive = drive_of(world)
    drive.command_joints({"bh_j12_joint": 0.9, "bh_j22_joint": 0.6, "bh_j32_joint": 0.3})
    world.step(2)
    assert world.step_until(lambda: drive.settled, 3.0)
    world.step(30)
    positions = drive.state().positions
    for near, far, goal in (("12", "13", 0.9), ("22", "23", 0.6), ("32", "33", 0.3)):
        assert positions[f"bh_j{near}_joint"] == pytest.approx(goal, abs=0.02)
        assert positions[f"bh_j{far}_joint"] == pytest.approx(goal / 3.0, abs=0.02)
    assert not any(drive.broken_away)


def test_spread_moves_two_fingers_together(worlds):
    world = worlds("staubli")
    drive = drive_of(world)
    drive.command_joints({"bh_j11_joint": 1.2})
    for _ in range(60):
        world.step()
        positions = drive.state().positions
        assert positions["bh_j11_joint"] == pytest.approx(positions["bh_j21_joint"], abs=0.03)
    assert positions["bh_j11_joint"] == pytest.approx(1.2, abs=0.03)
    with pytest.raises(ValueError, match="no motor"):
        drive.command_joints({"bh_j21_joint": 0.5})


def test_distal_link_closes_on_after_the_proximal_is_stopped(worlds):
    world = worlds("staubli")
    drive = drive_of(world)
    world.api.setGravity(0, 0, 0)
    # A heavy cylinder in the palm: the proximal links meet it first.
    wide = ObjectModel("can", Primitive("cylinder", (0.1, 0.1, 0.1)), (0.1, 0.1, 0.1), 0.5, (0, 0, 0), (1e-3,) * 3)
    tcp = world.config.arms["arm"].tcp_frame
    thing = world.add(wide, world.robot.T_base(tcp) @ transform((0, 0, 0.012)))
    state = close(world, 12.0)
    assert state.holding
    assert any(drive.broken_away)
    ahead = [
        state.positions[f"bh_j{far}_joint"] - state.positions[f"bh_j{near}_joint"] / 3.0
        for (near, far), broken in zip((("12", "13"), ("22", "23"), ("32", "33")), drive.broken_away, strict=True)
        if broken
    ]
    assert max(ahead) > 0.1, f"no distal link went on after its proximal one was stopped: {ahead}"
    stopped = state.positions["bh_j12_joint"]
    # Worm drives do not give way: pulling at the object does not open the proximal links.
    world.api.setGravity(0, 0, -9.81)
    world.step(240)
    assert drive.state().positions["bh_j12_joint"] == pytest.approx(stopped, abs=0.03)
    assert world.pose_of(thing)[2, 3] > 0.05
    drive.command_width(drive.limits.max_width_m, 12.0)
    world.step(2)
    world.step_until(lambda: drive.settled, 4.0)
    assert not any(drive.broken_away)


def test_an_empty_hand_holds_nothing(worlds):
    world = worlds("staubli")
    state = close(world, 12.0)
    assert not state.holding
    assert not any(drive_of(world).broken_away)


def test_trembling_fingers_stand_still_and_slow_ones_do_not():
    dt_s = 1.0 / 240.0
    trembling, creeping = StallClock(StallSettings()), StallClock(StallSettings())
    for k in range(240):
        trembling.tick(0.0318 + 0.00018 * np.sin(2.0 * np.pi * k / 15.0), dt_s)
        creeping.tick(0.05 - 0.006 * k * dt_s, dt_s)
        assert not creeping.still, "fingers that close at 6 mm/s count as stopped"
    assert trembling.still
