# SPDX-License-Identifier: Apache-2.0
"""A future at one moment as plain data, and how numbers and times read. Pure."""
