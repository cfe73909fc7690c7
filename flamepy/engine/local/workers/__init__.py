# SPDX-License-Identifier: Apache-2.0
"""The worker processes of the embedded engine: started, counted, interrupted, ended."""
