# SPDX-License-Identifier: Apache-2.0
"""How our scripts start kernels: that of this environment, encrypted, because ipykernel warns of an open TCP port."""

from __future__ import annotations

from traitlets.config import Config

KERNEL_NAME = "python3"  # whatever name the notebook was saved with


def kernel_config() -> Config:
    return Config({"KernelManager": {"transport_encryption": "auto"}})
