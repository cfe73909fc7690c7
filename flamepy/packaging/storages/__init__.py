# SPDX-License-Identifier: Apache-2.0
"""The kinds of storage for packages: a directory, and what is reached over a network.

``remote_storage`` holds what all of the latter share; ``http_storage`` and ``fsspec_storage`` say how each sends and
fetches; ``faults`` is what can go wrong, with its cure. Their libraries are loaded when a package is sent or fetched.
"""
