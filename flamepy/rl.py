# SPDX-License-Identifier: Apache-2.0
"""An import path of older programs: ``from flamepy.rl import Runner``."""

from flamepy.runner.runner import Runner
from flamepy.runner.service.handle import RunnerService
from flamepy.runner.types import RunnerContext, RunnerRequest, SessionContext
from flamepy.runner.waiting.object_future import ObjectFuture

__all__ = ["ObjectFuture", "Runner", "RunnerContext", "RunnerRequest", "RunnerService", "SessionContext"]
