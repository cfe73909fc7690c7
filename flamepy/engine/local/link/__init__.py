# SPDX-License-Identifier: Apache-2.0
"""What goes between the engine and one worker, seen from the engine: its socket, its words in shared memory."""
