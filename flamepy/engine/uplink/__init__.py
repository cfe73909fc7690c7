# SPDX-License-Identifier: Apache-2.0
"""The engine that a call runs on, seen from inside the call: the same nouns, over a socket to the host engine."""
