# SPDX-License-Identifier: Apache-2.0
"""The embedded engine: worker processes on this machine.

engine.py is what callers hold; loop.py is the one thread that changes tasks, sessions and workers; schedule.py
decides; launcher.py and link.py touch processes and sockets; install.py unpacks packages; registry.py knows
applications.
"""
