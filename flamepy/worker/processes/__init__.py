# SPDX-License-Identifier: Apache-2.0
"""Parents and children of a worker: who is ended with whom, and what a fork inside a call may do."""
