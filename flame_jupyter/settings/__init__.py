# SPDX-License-Identifier: Apache-2.0
"""The settings of a notebook, and where each comes from."""
