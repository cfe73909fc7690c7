# SPDX-License-Identifier: Apache-2.0
"""The object cache of a cluster, over Arrow Flight."""
