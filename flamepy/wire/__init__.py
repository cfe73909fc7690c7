# SPDX-License-Identifier: Apache-2.0
"""What a cluster speaks, as bytes and back: messages of gRPC for our own records. Pure, and used by both ends.

A client turns its records into messages here, a server turns messages into records: a round trip tests both.
"""
