# SPDX-License-Identifier: Apache-2.0
"""What a display shows of a value: made where the value lies, small enough for a page."""
