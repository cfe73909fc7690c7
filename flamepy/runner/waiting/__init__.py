# SPDX-License-Identifier: Apache-2.0
"""What a call gives back: the future of its value, the error that it raises, and every way to wait for it."""
