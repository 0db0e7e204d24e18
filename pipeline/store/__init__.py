"""The local store of customers' states and timers, and the codec of the changelog."""
