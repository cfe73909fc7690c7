# SPDX-License-Identifier: Apache-2.0
"""Calls on their way through a cluster: which of them share a task, whose executors run them, how they end."""
