# SPDX-License-Identifier: Apache-2.0
"""What things are: frozen records of the standard library only, shared by every layer above."""
