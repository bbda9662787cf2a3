# SPDX-License-Identifier: Apache-2.0
"""Loopback controllers: a UR controller and an RG2 on 127.0.0.0/8 that unmodified clients connect to."""
