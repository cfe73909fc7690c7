# SPDX-License-Identifier: Apache-2.0
"""How many messages we may send to the front end. Pure: the clock is an argument.

Jupyter's server drops everything above 1,000 messages a second, and a page with many views stutters long before.
"""

from __future__ import annotations

from dataclasses import dataclass

MESSAGES_PER_S = 100.0
BURST_MESSAGES = 60.0  # a screenful of futures that end together is shown at once


@dataclass
class TokenBucket:
    rate_per_s: float = MESSAGES_PER_S
    capacity: float = BURST_MESSAGES
    tokens: float = BURST_MESSAGES
    filled_s: float | None = None

    def take(self, cost: int, *, now_s: float) -> bool:
        """Spend ``cost`` messages if they are there. All or nothing, so that a view is never half sent."""
        if self.filled_s is not None:
            self.tokens = min(self.capacity, self.tokens + (now_s - self.filled_s) * self.rate_per_s)
        self.filled_s = now_s
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True

    def spend(self, cost: int, *, now_s: float) -> None:
        """Account for messages that could not wait; later ones wait for them."""
        self.take(0, now_s=now_s)
        self.tokens -= cost
