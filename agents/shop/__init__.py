"""A simulated store: seeded, and the same after a restart."""
