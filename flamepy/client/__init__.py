# SPDX-License-Identifier: Apache-2.0
"""Applications, sessions and tasks as plain bytes, over whatever engine runs them."""
