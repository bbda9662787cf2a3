# SPDX-License-Identifier: Apache-2.0
"""Compiled kinematics of one chain of joints: pose, Jacobian and inverse kinematics by damped least squares.

A chain is flat arrays: `origins` float64 [n + 1, 4, 4] (joint frame in the previous link; the last one is the tip frame
in the last link), `axes` float64 [n, 3], `prismatic` bool [n]. Twists and Jacobian rows are linear then angular, both
in the root's axes.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

compiled = njit(cache=True, nogil=True)


@compiled
def chain_frames(q, origins, axes, prismatic, T, points, directions):  # pragma: no cover - compiled
    """Write the tip pose into T [4, 4], each joint's place and axis (root frame) into points, directions [n, 3]."""
    R = np.eye(3)
    p = np.zeros(3)
    scratch = np.empty((3, 3))
    for i in range(q.shape[0] + 1):
        O = origins[i]  # noqa: E741
        for r in range(3):
            p[r] += R[r, 0] * O[0, 3] + R[r, 1] * O[1, 3] + R[r, 2] * O[2, 3]
        for r in range(3):
            for c in range(3):
                scratch[r, c] = R[r, 0] * O[0, c] + R[r, 1] * O[1, c] + R[r, 2] * O[2, c]
        R[:, :] = scratch
        if i == q.shape[0]:
            break
        ax, ay, az = axes[i, 0], axes[i, 1], axes[i, 2]
        for r in range(3):
            directions[i, r] = R[r, 0] * ax + R[r, 1] * ay + R[r, 2] * az
            points[i, r] = p[r]
        if prismatic[i]:
            for r in range(3):
                p[r] += directions[i, r] * q[i]
        else:
            s, c1 = math.sin(q[i]), math.cos(q[i])
            v = 1.0 - c1
            m00, m01, m02 = c1 + ax * ax * v, ax * ay * v - az * s, ax * az * v + ay * s
            m10, m11, m12 = ay * ax * v + az * s, c1 + ay * ay * v, ay * az * v - ax * s
            m20, m21, m22 = az * ax * v - ay * s, az * ay * v + ax * s, c1 + az * az * v
            for r in range(3):
                r0, r1, r2 = R[r, 0], R[r, 1], R[r, 2]
                R[r, 0] = r0 * m00 + r1 * m10 + r2 * m20
                R[r, 1] = r0 * m01 + r1 * m11 + r2 * m21
                R[r, 2] = r0 * m02 + r1 * m12 + r2 * m22
    for r in range(3):
        for c in range(3):
            T[r, c] = R[r, c]
        T[r, 3] = p[r]
        T[3, r] = 0.0
    T[3, 3] = 1.0


@compiled
def jacobian_from(T, points, directions, prismatic, columns, J):  # pragma: no cover - compiled
    """Fill J [6, k]: the tip's velocity per rate of the chain's joints `columns` [k]."""
    for k in range(columns.shape[0]):
        i = columns[k]
        dx, dy, dz = directions[i, 0], directions[i, 1], directions[i, 2]
        if prismatic[i]:
            J[0, k], J[1, k], J[2, k] = dx, dy, dz
            J[3, k], J[4, k], J[5, k] = 0.0, 0.0, 0.0
        else:
            rx, ry, rz = T[0, 3] - points[i, 0], T[1, 3] - points[i, 1], T[2, 3] - points[i, 2]
            J[0, k], J[1, k], J[2, k] = dy * rz - dz * ry, dz * rx - dx * rz, dx * ry - dy * rx
            J[3, k], J[4, k], J[5, k] = dx, dy, dz


@compiled
def pose_error(T, target, e):  # pragma: no cover - compiled
    """Write the twist that takes T to target into e [6]: translation difference and rotation vector, root axes."""
    for r in range(3):
        e[r] = target[r, 3] - T[r, 3]
    # rotation vector of target_R @ T_R^T
    D = np.empty((3, 3))
    for r in range(3):
        for c in range(3):
            D[r, c] = target[r, 0] * T[c, 0] + target[r, 1] * T[c, 1] + target[r, 2] * T[c, 2]
    vx, vy, vz = D[2, 1] - D[1, 2], D[0, 2] - D[2, 0], D[1, 0] - D[0, 1]
    sine = 0.5 * math.sqrt(vx * vx + vy * vy + vz * vz)
    cosine = 0.5 * (D[0, 0] + D[1, 1] + D[2, 2] - 1.0)
    angle = math.atan2(sine, cosine)
    if sine > 1e-9:
        scale = 0.5 * angle / sine
        e[3], e[4], e[5] = vx * scale, vy * scale, vz * scale
    elif cosine > 0.0:
        e[3], e[4], e[5] = 0.5 * vx, 0.5 * vy, 0.5 * vz
    else:
        # half a turn: the axis is the column of D + 1 with the largest diagonal
        k = 0
        for r in range(1, 3):
            if D[r, r] > D[k, k]:
                k = r
        norm = math.sqrt(max(1e-12, 2.0 * (D[k, k] + 1.0)))
        for r in range(3):
            e[3 + r] = angle * (D[r, k] + (1.0 if r == k else 0.0)) / norm


@compiled
def cholesky_solve(A, b, n):  # pragma: no cover - compiled
    """Solve A x = b in place, A [n, n] positive definite; b becomes x. Returns False where A is not."""
    for j in range(n):
        s = A[j, j]
        for k in range(j):
            s -= A[j, k] * A[j, k]
        if s <= 0.0:
            return False
        d = math.sqrt(s)
        A[j, j] = d
        for i in range(j + 1, n):
            t = A[i, j]
            for k in range(j):
                t -= A[i, k] * A[j, k]
            A[i, j] = t / d
    for i in range(n):
        t = b[i]
        for k in range(i):
            t -= A[i, k] * b[k]
        b[i] = t / A[i, i]
    for i in range(n - 1, -1, -1):
        t = b[i]
        for k in range(i + 1, n):
            t -= A[k, i] * b[k]
        b[i] = t / A[i, i]
    return True


@compiled
def _converge(
    q,
    target,
    origins,
    axes,
    prismatic,
    columns,
    lower,
    upper,
    rows,
    length_scale,
    tolerance_m,
    tolerance_rad,
    iterations,
):  # pragma: no cover - compiled
    """Levenberg-Marquardt from q (chain joints, changed in place); the joints `columns` stay inside of their limits.

    The damping follows the squared error (Sugihara 2011), so that steps are Newton-like near the solution. A joint at
    its limit that the step would push further out is left out of the next solve. Returns (success, iterations used).
    """
    n = columns.shape[0]
    chain = q.shape[0]
    T = np.empty((4, 4))
    points = np.empty((chain, 3))
    directions = np.empty((chain, 3))
    J = np.empty((6, n))
    e = np.empty(6)
    A = np.empty((n, n))
    g = np.empty(n)
    step = np.empty(n)
    frozen = np.zeros(n, np.bool_)
    best = np.inf
    stalled = 0
    for iteration in range(iterations + 1):
        chain_frames(q, origins, axes, prismatic, T, points, directions)
        pose_error(T, target, e)
        far = math.sqrt(e[0] * e[0] + e[1] * e[1] + e[2] * e[2])
        turned = math.sqrt(e[3] * e[3] + e[4] * e[4] + e[5] * e[5])
        if far <= tolerance_m and (rows == 3 or turned <= tolerance_rad):
            return True, iteration
        if iteration == iterations:
            break
        error = far * far
        if rows == 6:
            error += length_scale * length_scale * turned * turned
        if error < 0.98 * best:
            best = error
            stalled = 0
        else:
            stalled += 1
            if stalled > 8:
                return False, iteration
        jacobian_from(T, points, directions, prismatic, columns, J)
        for r in range(3, rows):
            e[r] *= length_scale
            for k in range(n):
                J[r, k] *= length_scale
        for k in range(n):
            g[k] = 0.0
            for r in range(rows):
                g[k] += J[r, k] * e[r]
            value = q[columns[k]]
            frozen[k] = (value <= lower[k] and g[k] < 0.0) or (value >= upper[k] and g[k] > 0.0)
        damping = 0.5 * error + 1e-7
        for _attempt in range(2):
            for i in range(n):
                for j in range(n):
                    A[i, j] = 0.0
                    if not (frozen[i] or frozen[j]):
                        for r in range(rows):
                            A[i, j] += J[r, i] * J[r, j]
                A[i, i] += damping
                step[i] = 0.0 if frozen[i] else g[i]
            if not cholesky_solve(A, step, n):
                return False, iteration
            again = False
            for k in range(n):
                value = q[columns[k]]
                if not frozen[k] and ((value <= lower[k] and step[k] < 0.0) or (value >= upper[k] and step[k] > 0.0)):
                    frozen[k] = True
                    again = True
            if not again:
                break
        largest = 0.0
        for k in range(n):
            largest = max(largest, abs(step[k]))
        scale = min(1.0, 1.0 / largest) if largest > 0.0 else 0.0
        for k in range(n):
            q[columns[k]] = min(upper[k], max(lower[k], q[columns[k]] + scale * step[k]))
    return False, iterations


@compiled
def _relax(
    q, target, origins, axes, prismatic, columns, lower, upper, rows, length_scale, preferred, gain, rounds
):  # pragma: no cover - compiled
    """Move q (at the target) along the null-space towards `preferred` [k], correcting the pose at each round."""
    n = columns.shape[0]
    chain = q.shape[0]
    T = np.empty((4, 4))
    points = np.empty((chain, 3))
    directions = np.empty((chain, 3))
    J = np.empty((6, n))
    e = np.empty(6)
    A = np.empty((rows, rows))
    b = np.empty(rows)
    wish = np.empty(n)
    for _ in range(rounds):
        chain_frames(q, origins, axes, prismatic, T, points, directions)
        pose_error(T, target, e)
        jacobian_from(T, points, directions, prismatic, columns, J)
        for r in range(3, rows):
            e[r] *= length_scale
            for k in range(n):
                J[r, k] *= length_scale
        for k in range(n):
            wish[k] = gain * (preferred[k] - q[columns[k]])
        # dq = wish + J^T (J J^T + eps)^-1 (e - J wish)
        for i in range(rows):
            b[i] = e[i]
            for k in range(n):
                b[i] -= J[i, k] * wish[k]
            for j in range(rows):
                A[i, j] = 0.0
                for k in range(n):
                    A[i, j] += J[i, k] * J[j, k]
            A[i, i] += 1e-8
        if not cholesky_solve(A, b, rows):
            return
        for k in range(n):
            move = wish[k]
            for r in range(rows):
                move += J[r, k] * b[r]
            move = min(0.3, max(-0.3, move))
            q[columns[k]] = min(upper[k], max(lower[k], q[columns[k]] + move))


@compiled
def solve_ik(
    q_start,
    seeds,
    target,
    origins,
    axes,
    prismatic,
    columns,
    lower,
    upper,
    rows,
    length_scale,
    tolerance_m,
    tolerance_rad,
    iterations,
    preferred,
    relax_rounds,
    q_out,
):  # pragma: no cover - compiled
    """Try the seeds [s, k] in turn; returns (success, seeds tried, iterations in all) and writes q_out [n]."""
    total = 0
    trial = np.empty_like(q_start)
    for s in range(seeds.shape[0]):
        trial[:] = q_start
        for k in range(columns.shape[0]):
            trial[columns[k]] = seeds[s, k]
        ok, used = _converge(
            trial,
            target,
            origins,
            axes,
            prismatic,
            columns,
            lower,
            upper,
            rows,
            length_scale,
            tolerance_m,
            tolerance_rad,
            iterations,
        )
        total += used
        if not ok:
            continue
        q_out[:] = trial
        if relax_rounds > 0:
            _relax(
                trial,
                target,
                origins,
                axes,
                prismatic,
                columns,
                lower,
                upper,
                rows,
                length_scale,
                preferred,
                0.25,
                relax_rounds,
            )
            ok, used = _converge(
                trial,
                target,
                origins,
                axes,
                prismatic,
                columns,
                lower,
                upper,
                rows,
                length_scale,
                tolerance_m,
                tolerance_rad,
                15,
            )
            total += used
            if ok:
                q_out[:] = trial
        return True, s + 1, total
    q_out[:] = trial
    return False, seeds.shape[0], total
