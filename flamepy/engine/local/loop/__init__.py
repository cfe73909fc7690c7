# SPDX-License-Identifier: Apache-2.0
"""The event loop of the embedded engine: the one writer of sessions, calls and workers."""
