# SPDX-License-Identifier: Apache-2.0
"""What a worker keeps for its sessions: functions, objects with their state, and generators."""
