# SPDX-License-Identifier: Apache-2.0
"""``python -m flamepy serve``: one engine for several programs, which speaks what a Flame 0.6 cluster speaks.

``frontend`` answers clients, ``objects`` keeps values, ``executors`` start workers and hand them tasks. All state but
that of ``objects`` has one writer, the event loop's thread; what is decided about it stands in ``allocation``,
``application_table``, ``session_table`` and ``objects.versions``.
"""
