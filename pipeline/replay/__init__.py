"""The engine over a recorded log."""
