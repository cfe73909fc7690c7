# SPDX-License-Identifier: Apache-2.0
"""Applications of the embedded engine: registered, leased, and unpacked for workers."""
