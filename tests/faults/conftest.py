# SPDX-License-Identifier: Apache-2.0
"""What an engine survives it survives for the next test of the module, too."""

from tests.shared_engine import (
    an_engine_of_its_own,
    embedded,
    functions_of_tests_travel_by_value,
    shared_engine,
)

__all__ = ["an_engine_of_its_own", "embedded", "functions_of_tests_travel_by_value", "shared_engine"]
