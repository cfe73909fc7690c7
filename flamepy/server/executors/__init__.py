# SPDX-License-Identifier: Apache-2.0
"""Executors: each takes a slot of this machine, and runs one worker process for one session."""
