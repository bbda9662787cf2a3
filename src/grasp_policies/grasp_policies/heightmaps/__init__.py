# SPDX-License-Identifier: Apache-2.0
"""What every policy that looks at a table from above shares: the state, its settings, turned cut-outs of it."""
