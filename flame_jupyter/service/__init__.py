# SPDX-License-Identifier: Apache-2.0
"""A service under the name that a cell gave it: its record, its handle, and what happens when the cell runs again."""
