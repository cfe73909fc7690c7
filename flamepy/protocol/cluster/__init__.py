# SPDX-License-Identifier: Apache-2.0
"""What the cluster engine and its travelling worker say to each other, inside the tasks of a cluster."""
