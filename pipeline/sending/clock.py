"""The host's clocks, as the senders read them."""

import time


class SystemClock:
    """The wall clock, and one that never goes back and runs on while the process is frozen or the machine sleeps."""

    def now(self) -> int:
        """Return UTC milliseconds."""
        return time.time_ns() // 1_000_000

    def ticks(self) -> int:
        """Return milliseconds since some moment."""
        return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1_000_000
