# SPDX-License-Identifier: Apache-2.0
"""What the commands that look show: status, panel, doctor."""
