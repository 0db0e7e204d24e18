"""`make bench`: measures and prints a table. Nothing else should run on the machine meanwhile."""

import argparse

from benchmarks.machine import describe
from benchmarks.pipeline import measure
from benchmarks.stages import ingest_us, journeys_us


def main() -> None:
    """Measure the stages alone, then the pipeline on a broker."""
    words = argparse.ArgumentParser()
    words.add_argument("--events", type=int, default=400_000)
    words.add_argument("--customers", type=int, default=200_000)
    words.add_argument("--seconds", type=int, default=20)
    said = words.parse_args()
    print(describe(), flush=True)
    rows: dict[str, float] = {"ingest stage, CPU us/event": ingest_us(said.events, said.customers)}
    used, size = journeys_us(said.events, said.customers)
    rows |= {"journeys stage, CPU us/event": used, "bytes a customer on disk": size}
    rows |= measure(said.events, said.customers, said.seconds)
    for name, figure in rows.items():
        print(f"| {name} | {figure:,.1f} |")


if __name__ == "__main__":
    main()
