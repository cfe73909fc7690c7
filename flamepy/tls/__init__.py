# SPDX-License-Identifier: Apache-2.0
"""Encrypted connections: what is read from files for them, and why one does not come about."""
