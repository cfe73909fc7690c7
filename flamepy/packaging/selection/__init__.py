# SPDX-License-Identifier: Apache-2.0
"""Which files of a project are packed: the walk, the rules, links, and how much is too much."""
