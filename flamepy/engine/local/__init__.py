# SPDX-License-Identifier: Apache-2.0
"""The embedded engine: worker processes on this machine.

engine.py is what callers hold; ``loop`` has the one thread that changes tasks, sessions and workers; schedule.py
decides; ``workers`` and ``link`` touch processes and sockets; ``apps`` knows applications and unpacks their packages.
"""
