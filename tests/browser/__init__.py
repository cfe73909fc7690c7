# SPDX-License-Identifier: Apache-2.0
"""A package, so that its fixtures end with its last test."""
