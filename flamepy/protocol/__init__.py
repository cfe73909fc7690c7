# SPDX-License-Identifier: Apache-2.0
"""What engine and worker say to each other: frames, the fence between their words, and the records that travel."""
