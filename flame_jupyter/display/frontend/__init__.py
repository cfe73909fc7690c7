# SPDX-License-Identifier: Apache-2.0
"""Brings outputs up to date on the UI thread: within the budget of messages, ends first."""
