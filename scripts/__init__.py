# SPDX-License-Identifier: Apache-2.0
"""What the Makefile calls: set-up, the demo, the checks of what is written. Not installed."""
