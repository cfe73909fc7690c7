# SPDX-License-Identifier: Apache-2.0
"""Python values <-> bytes."""
