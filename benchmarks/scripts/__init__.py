# SPDX-License-Identifier: Apache-2.0
"""Complete programs of a user, copied into a directory of their own and timed until they print ``R``."""
