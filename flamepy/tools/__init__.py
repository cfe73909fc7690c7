# SPDX-License-Identifier: Apache-2.0
"""What stands on top of a Runner: the doctor, which finds out why calls would not work here."""
