# SPDX-License-Identifier: Apache-2.0
"""The rules are tried on one embedded engine a module."""

from tests.shared_engine import an_engine_of_its_own, embedded, shared_engine

__all__ = ["an_engine_of_its_own", "embedded", "shared_engine"]
