# SPDX-License-Identifier: Apache-2.0
"""What a cell defines and what its code refers to: names, digests, modules, data. Knows of no service."""
