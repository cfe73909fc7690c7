# SPDX-License-Identifier: Apache-2.0
"""A failed call as the notebook shows it: at the lines of the cells."""
