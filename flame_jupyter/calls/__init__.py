# SPDX-License-Identifier: Apache-2.0
"""The calls that this notebook has made: those that variables hold, those that a cell waits for, what they print."""
