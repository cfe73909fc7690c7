# SPDX-License-Identifier: Apache-2.0
"""What travels to a cluster with each package, and runs its calls there: an executor's process, of our own.

An executor of a cluster starts one command for a session. Ours is this: an embedded engine of one worker, behind the
service by which executors hand over tasks. So a call means on a cluster what it means at home, and no code of a user
runs in the process that the executor talks to.
"""
