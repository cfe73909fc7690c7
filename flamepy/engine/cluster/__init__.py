# SPDX-License-Identifier: Apache-2.0
"""The engine that runs calls on a Flame cluster, whose executors run what travels with the package (``instance``)."""
