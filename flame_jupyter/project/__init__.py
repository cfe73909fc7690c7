# SPDX-License-Identifier: Apache-2.0
"""What a Runner of this notebook is made of: place, package, requirements, context."""
