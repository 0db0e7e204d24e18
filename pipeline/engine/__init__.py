"""The pure core: `step(customer, input, plan) -> Transition`, with no I/O, clock, randomness or logging."""
