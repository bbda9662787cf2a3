# SPDX-License-Identifier: Apache-2.0
"""MoveIt's configuration of a cell, made from the cell's own files, so that nothing is told twice.

``moveit_files`` makes the contents of ``config/moveit/<cell>/`` (written by ``scripts/make_moveit_config.py``);
``load_moveit_config`` reads them back as the parameters that moveit_py and move_group take. Names are those of MoveIt
for ROS 2 Jazzy and later.
"""

from __future__ import annotations

from typing import Any

from grasp_core.cell_config import CellConfig
from grasp_core.config import read_yaml
from grasp_core.resources import find
from grasp_description import RobotModel, load_gripper

PIPELINES = ("ompl", "pilz_industrial_motion_planner")
# OMPL planners on offer, the first the default; a range of 0 lets OMPL choose.
OMPL_PLANNERS: dict[str, dict[str, Any]] = {
    "RRTConnectkConfigDefault": {"type": "geometric::RRTConnect", "range": 0.0},
    "RRTkConfigDefault": {"type": "geometric::RRT", "range": 0.0, "goal_bias": 0.05},
    "RRTstarkConfigDefault": {"type": "geometric::RRTstar", "range": 0.0, "goal_bias": 0.05},
    "PRMkConfigDefault": {"type": "geometric::PRM", "max_nearest_neighbors": 10},
    "BKPIECEkConfigDefault": {"type": "geometric::BKPIECE", "range": 0.0, "border_fraction": 0.9},
}
# Motions are checked at this share of the largest distance in joint space.
LONGEST_SEGMENT = 0.005
# Pilz plans Cartesian lines; it wants limits of the tool beside those of the joints.
PILZ_ACCELERATION_PER_SPEED = 4.0
PILZ_ROTATION_RAD_S = 1.5


def moveit_files(config: CellConfig, robot: RobotModel) -> dict[str, dict[str, Any]]:
    """Contents by file name."""
    groups = list(dict.fromkeys(arm.group for arm in config.arms.values()))
    return {
        "kinematics.yaml": {group: _kinematics() for group in groups},
        "joint_limits.yaml": _joint_limits(config, robot),
        "ompl_planning.yaml": _ompl(groups),
        "pilz_industrial_motion_planner_planning.yaml": {
            "planning_plugins": ["pilz_industrial_motion_planner/CommandPlanner"],
            "default_planner_config": "PTP",
            "request_adapters": _request_adapters(),
            "response_adapters": ["default_planning_response_adapters/ValidateSolution"],
        },
        "pilz_cartesian_limits.yaml": _cartesian_limits(config),
        "moveit_controllers.yaml": _controllers(config),
        "moveit_cpp.yaml": _moveit_cpp(config),
    }


def load_moveit_config(cell: str) -> dict[str, Any]:
    """Parameters of MoveIt for a cell, without ``robot_description`` and ``robot_description_semantic``.

    Raises:
        ResourceError: the cell has no folder in ``config/moveit``.
        ConfigError: a file is missing or broken.
    """
    folder = find("config", f"moveit/{cell}")
    limits = read_yaml(folder / "joint_limits.yaml")
    limits.update(read_yaml(folder / "pilz_cartesian_limits.yaml"))
    parameters = {
        "robot_description_kinematics": read_yaml(folder / "kinematics.yaml"),
        "robot_description_planning": limits,
        **{pipeline: read_yaml(folder / f"{pipeline}_planning.yaml") for pipeline in PIPELINES},
    }
    parameters.update(read_yaml(folder / "moveit_controllers.yaml"))
    parameters.update(read_yaml(folder / "moveit_cpp.yaml"))
    return parameters


def _kinematics() -> dict[str, Any]:
    return {
        "kinematics_solver": "kdl_kinematics_plugin/KDLKinematicsPlugin",
        "kinematics_solver_search_resolution": 0.005,
        "kinematics_solver_timeout": 0.05,
    }


def _joint_limits(config: CellConfig, robot: RobotModel) -> dict[str, Any]:
    limits = {}
    for name in robot.joint_names:
        i = robot.index(name)
        limits[name] = {
            "has_velocity_limits": True,
            "max_velocity": float(robot.velocity_limit[i]),
            "has_acceleration_limits": True,
            "max_acceleration": float(robot.acceleration_limit[i]),
            "has_jerk_limits": True,
            "max_jerk": float(robot.jerk_limit[i]),
        }
    scale = config.skills.speed_scale
    return {
        "default_velocity_scaling_factor": scale,
        "default_acceleration_scaling_factor": scale,
        "joint_limits": limits,
    }


def _request_adapters() -> list[str]:
    names = ("ResolveConstraintFrames", "ValidateWorkspaceBounds", "CheckStartStateBounds", "CheckStartStateCollision")
    return [f"default_planning_request_adapters/{name}" for name in names]


def _ompl(groups: list[str]) -> dict[str, Any]:
    names = ("AddTimeOptimalParameterization", "AddRuckigTrajectorySmoothing", "ValidateSolution", "DisplayMotionPath")
    content: dict[str, Any] = {
        "planning_plugins": ["ompl_interface/OMPLPlanner"],
        "request_adapters": _request_adapters(),
        "response_adapters": [f"default_planning_response_adapters/{name}" for name in names],
        "planner_configs": OMPL_PLANNERS,
    }
    for group in groups:
        content[group] = {
            "default_planner_config": next(iter(OMPL_PLANNERS)),
            "planner_configs": list(OMPL_PLANNERS),
            "longest_valid_segment_fraction": LONGEST_SEGMENT,
        }
    return content


def _cartesian_limits(config: CellConfig) -> dict[str, Any]:
    speed = config.limits.max_tcp_speed_m_s
    return {
        "cartesian_limits": {
            "max_trans_vel": speed,
            "max_trans_acc": PILZ_ACCELERATION_PER_SPEED * speed,
            "max_trans_dec": -PILZ_ACCELERATION_PER_SPEED * speed,
            "max_rot_vel": PILZ_ROTATION_RAD_S,
        }
    }


def _controllers(config: CellConfig) -> dict[str, Any]:
    controllers: dict[str, Any] = {}
    for arm in config.arms.values():
        for name, joints in arm.controllers.items():
            controllers[name] = _controller("FollowJointTrajectory", "follow_joint_trajectory", list(joints))
    for gripper in config.grippers.values():
        spec = load_gripper(gripper.kind)
        driven = [gripper.prefix + joint for joint in spec.joints if joint not in spec.coupled]
        # One driven joint is a gripper, more are a hand, which takes trajectories.
        if len(driven) == 1:
            controllers[gripper.controller] = _controller("GripperCommand", "gripper_cmd", driven)
        else:
            controllers[gripper.controller] = _controller("FollowJointTrajectory", "follow_joint_trajectory", driven)
    return {
        "moveit_controller_manager": "moveit_simple_controller_manager/MoveItSimpleControllerManager",
        "moveit_simple_controller_manager": {"controller_names": list(controllers), **controllers},
        "trajectory_execution": {
            "allowed_execution_duration_scaling": 1.2,
            "allowed_goal_duration_margin": 0.5,
            "allowed_start_tolerance": 0.01,
        },
    }


def _controller(kind: str, action: str, joints: list[str]) -> dict[str, Any]:
    return {"type": kind, "action_ns": action, "default": True, "joints": joints}


def _moveit_cpp(config: CellConfig) -> dict[str, Any]:
    scale = config.skills.speed_scale
    return {
        "planning_scene_monitor_options": {
            "name": "planning_scene_monitor",
            "robot_description": "robot_description",
            "joint_state_topic": "/joint_states",
            "attached_collision_object_topic": "/moveit_cpp/attached_collision_object",
            "publish_planning_scene_topic": "/moveit_cpp/publish_planning_scene",
            "monitored_planning_scene_topic": "/moveit_cpp/monitored_planning_scene",
            "wait_for_initial_state_timeout": 10.0,
        },
        "planning_pipelines": {"pipeline_names": list(PIPELINES)},
        "plan_request_params": {
            "planning_pipeline": PIPELINES[0],
            "planner_id": next(iter(OMPL_PLANNERS)),
            "planning_attempts": 1,
            "planning_time": config.skills.plan_timeout_s,
            "max_velocity_scaling_factor": scale,
            "max_acceleration_scaling_factor": scale,
        },
    }
