# SPDX-License-Identifier: Apache-2.0
"""The object cache of the server: payloads under keys, with versions and patches, over Arrow Flight."""
