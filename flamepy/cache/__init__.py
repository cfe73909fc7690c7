# SPDX-License-Identifier: Apache-2.0
"""Where results live: segments of shared memory, blobs in them, a versioned store of objects, typed access to it."""
