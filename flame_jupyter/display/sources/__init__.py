# SPDX-License-Identifier: Apache-2.0
"""What outputs show: calls, progress, the status panel, the inspector, streams, printed text."""
