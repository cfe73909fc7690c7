# SPDX-License-Identifier: Apache-2.0
"""Exported cells: cells of notebooks that travel with the package as modules, which workers import.

``directive`` finds them, ``cells`` keeps them in order, ``module`` puts them together, ``undefined`` looks for what is
missing: all pure. ``capture`` takes them from the running kernel, ``siblings`` from other notebooks on the disk,
``exports`` holds what this notebook has; ``command`` is ``flame-jupyter export``.
"""
