# SPDX-License-Identifier: Apache-2.0
"""A project directory -> an application that workers can run, and how a Runner ends what it has opened."""
