"""The engine over a recorded log: backtest, diff, verify, explain, simulate, backfill. It sends nothing."""
