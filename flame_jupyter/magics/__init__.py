# SPDX-License-Identifier: Apache-2.0
"""The magics: their options in one table, from the line to a record of what it asks for, and what each does."""
