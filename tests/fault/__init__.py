"""The fault harness: a deployment of real processes on a real broker, what is done to it, and what must hold after it.

`make fault` runs every row, `make fault ROWS=short` those that take minutes, `make fault ROWS=zombie,broker_bounce` some;
SEED=n says which seed, INJECTIONS=n how many. Each is a process of its own: the driver (`run`), which starts and
supervises (`supervisor`), the workers (`parcours worker ...`), the shop that writes records (`shop`), the provider that
is called (`provider`), the nemesis that breaks things (`nemesis`), the verifier that reads topics only (`verifier`).

How to write a row: an `async def inject(nemesis)` in a module of `tests/fault/rows/`, and a `Row` in its `ROWS`. Called
once for each injection, it breaks one thing, mends it, and returns an `Injection`: what was done and when (UTC ms), and
`void`, why it showed nothing (a kill that hit no open transaction where that was meant, a zombie that was not fenced);
void ones are counted apart and tried again. What it needs of the deployment (pids, pauses at named points, traps, the
broker, the provider's mode, probes of open transactions) is `nemesis.Nemesis`. Everything must be mended when it returns.
What must hold afterwards is the same for every row: tests/reference/chase_check.py, and that records were still coming in.
"""
