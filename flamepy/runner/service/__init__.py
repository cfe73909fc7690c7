# SPDX-License-Identifier: Apache-2.0
"""From a call on a service to the engine: its handle, which calls it offers, the call as bytes, where it goes."""
