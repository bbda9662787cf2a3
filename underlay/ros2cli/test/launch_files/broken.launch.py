# SPDX-License-Identifier: Apache-2.0
def generate_launch_description():
    raise ValueError("this file is broken")
