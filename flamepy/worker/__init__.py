# SPDX-License-Identifier: Apache-2.0
"""The process that runs user code: zygote (parent of all workers), main loop, service, state, outcome, output."""
