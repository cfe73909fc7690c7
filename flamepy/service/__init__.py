# SPDX-License-Identifier: Apache-2.0
"""What the author of a service writes. Its context records are in ``flamepy.core.instance``."""
