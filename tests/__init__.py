# SPDX-License-Identifier: Apache-2.0
"""Tests are sentences about behaviour; each directory says on what they are tried."""
