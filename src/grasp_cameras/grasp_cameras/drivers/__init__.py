# SPDX-License-Identifier: Apache-2.0
"""One file a kind of camera. A vendor's SDK is imported only when its driver is made."""
