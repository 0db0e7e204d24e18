"""The sentence at a run's end: what was due and what became of it."""

from collections import Counter

import msgspec

from models.receipt import FINAL
from pipeline.runtime.folder import Folder

WORDS = {
    "no_consent": ("without consent", "--set consent_default=granted"),
    "no_address": ("without an address", "--set require_address=false"),
    "capped": ("over a cap", ""),
    "limit": ("over the scenario's limit", ""),
    "paused": ("paused", ""),
    "before_activation": ("due before the scenario was live", ""),
    "before_backfill": ("due before they were taken in from history", ""),
    "already_sent": ("sent before", ""),
}


def summary(folder: Folder, *, stopped: bool) -> str:
    """Return one sentence such as "53 due, 0 sent, 53 without consent: try --set consent_default=granted"."""
    suppressed: Counter[str] = Counter()
    commands = 0
    for _, raw in folder.scan("decisions"):
        decision = msgspec.json.decode(raw)
        if decision["outcome"] == "suppressed":
            suppressed[decision["reason"]] += 1
        elif decision["outcome"] == "sent":
            commands += 1
    ends = Counter[str]()
    for _, raw in folder.scan("receipts"):
        state = msgspec.json.decode(raw)["state"]
        if state in FINAL:
            ends[state] += 1
    parts = [f"{commands + sum(suppressed.values())} due", f"{ends['sent']} sent"]
    parts += [f"{ends[state]} {state}" for state in FINAL[1:] if ends[state]]
    parts += [f"{count} {WORDS.get(reason, (reason, ''))[0]}" for reason, count in suppressed.most_common()]
    hints = [WORDS[reason][1] for reason, _ in suppressed.most_common() if reason in WORDS and WORDS[reason][1]]
    hint = f": try {' '.join(hints)}" if hints and not ends["sent"] else ""
    ending = " (stopped; the next run goes on here)" if stopped else ""
    return ", ".join(parts) + hint + ending
