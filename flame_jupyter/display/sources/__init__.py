# SPDX-License-Identifier: Apache-2.0
"""What live outputs show besides futures: progress, the status panel, the inspector, streams, printed output."""
