# SPDX-License-Identifier: Apache-2.0
"""Scripts, each given to a fresh interpreter: ``SCRIPT MEASUREMENT OUT REPEAT``. Users' functions live in them."""
