# SPDX-License-Identifier: Apache-2.0
"""An import path of older programs: ``from flamepy.rl import Runner``."""

from flamepy.runner.futures import ObjectFuture
from flamepy.runner.runner import Runner
from flamepy.runner.service import RunnerService
from flamepy.runner.types import RunnerContext, RunnerRequest, SessionContext

__all__ = ["ObjectFuture", "Runner", "RunnerContext", "RunnerRequest", "RunnerService", "SessionContext"]
