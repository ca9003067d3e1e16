"""What a run has to tell MLflow, in its own folder first: one entry a line, never changed.

Beside it stands how much of it MLflow has. So a store that does not answer loses nothing, and whoever holds
the run's lock can send the rest. A line that is damaged costs what it said and no more; `damage` names it.
"""

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.files import append_json, read_lines, sync, write_whole
from harness.tracking import run_folder
from harness.tracking.entry_kind import EntryKind
from harness.tracking.run_state import RunState

# kind, time in milliseconds since the epoch, and what the kind needs (see sender.py)
Entry = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """How many entries MLflow has, and the run that they are in; None while MLflow does not know the run.

    `deleted`: a person deleted the run there, so that it takes no more of them.
    """

    count: int = 0
    run_id: str | None = None
    experiment_id: str | None = None
    deleted: bool = False


class Journal:
    """One run's entries. One process writes it, and at most one thread of it sends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damage: list[str] = []
        sent = self._read_sent(folder / run_folder.SENT)  # before what is in it: another process may be at work
        file = folder / run_folder.JOURNAL
        lines = read_lines(file)
        self.entries: list[Entry] = []
        for value in lines.values:  # a damaged one keeps its place, for the others are counted by theirs
            before = self.entries[-1]["time"] if self.entries else 0
            self.entries.append({"kind": EntryKind.DAMAGED, "time": before} if value is None else value)
        self.damage += [f"{file} is damaged in line {each.line} ({each.why})" for each in lines.damage]
        lost = sent.count - len(self.entries)
        if lost > 0:
            self.damage.append(f"{file} is cut: MLflow has {lost} entries that it has not")
        self.sent = dataclasses.replace(sent, count=min(sent.count, len(self.entries)))

    def _read_sent(self, file: Path) -> Sent:
        """What MLflow has; nothing where that cannot be told, for an entry that is told twice does no harm."""
        try:
            content = json.loads(file.read_bytes())
            if not isinstance(content, dict):
                raise ValueError("it is no JSON object")
            return Sent(**content)
        except FileNotFoundError:
            return Sent()
        except (ValueError, TypeError) as error:
            what = str(error).splitlines()[0]
            self.damage.append(f"{file} is damaged ({what}); all that the run told is sent once more")
            return Sent()

    def write(self, kind: EntryKind, at: int | None = None, **values: Any) -> None:
        self.add({"kind": kind, "time": now() if at is None else at, **values})

    def add(self, entry: Entry) -> None:
        append_json(self.folder / run_folder.JOURNAL, entry, checksum=True)
        self.entries.append(entry)

    def sync(self) -> None:
        """Wait until all that was told is on the disk."""
        sync(self.folder / run_folder.JOURNAL)

    def mark_sent(self, sent: Sent) -> None:
        text = json.dumps(dataclasses.asdict(sent))
        # written for each entry, and what a power cut makes of it is mended as it is read
        write_whole(self.folder / run_folder.SENT, lambda file: file.write_text(text, "utf-8"), durable=False)
        self.sent = sent

    @property
    def waiting(self) -> int:
        """How many entries are still to be sent; none of a run that was deleted."""
        return 0 if self.sent.deleted else len(self.entries) - self.sent.count

    @property
    def run_id(self) -> str:
        """MLflow's id of the run; the folder's name until MLflow knows the run."""
        return self.sent.run_id or self.folder.name

    @property
    def begun(self) -> Entry | None:
        """The first entry, which says what the run is; None where there is none, or it is damaged."""
        return self.entries[0] if self.entries and self.entries[0]["kind"] == EntryKind.BEGUN else None

    @property
    def ended(self) -> RunState | None:
        """How the run ended, unless it goes on; one that was pruned as MLflow says it, see run_state.state_of."""
        last = next(
            (entry for entry in reversed(self.entries) if entry["kind"] in (EntryKind.ENDED, EntryKind.REOPENED)), None
        )
        return RunState(last["status"]) if last and last["kind"] == EntryKind.ENDED else None

    @property
    def reason(self) -> str | None:
        """Why it ended as it did, if that was said."""
        last = next((entry for entry in reversed(self.entries) if entry["kind"] == EntryKind.ENDED), None)
        return last["reason"] if last else None

    def tag(self, name: str) -> str:
        """A tag that was told; empty if there is none."""
        told = (entry["values"] for entry in reversed(self.entries) if entry["kind"] == EntryKind.TAGS)
        return next((str(values[name]) for values in told if name in values), "")

    def params(self) -> dict[str, str]:
        """Those that were told, as texts."""
        told = (entry["values"] for entry in self.entries if entry["kind"] == EntryKind.PARAMS)
        return {name: value for values in told for name, value in values.items()}

    def known_steps(self) -> dict[str, int]:
        """The last step that each metric was written at."""
        known: dict[str, int] = {}
        for entry in self.entries:
            values = (
                entry["values"] if entry["kind"] in (EntryKind.METRICS, EntryKind.MEASURED) else entry.get("scores")
            )
            for key in values or {}:
                known[key] = max(entry["step"], known.get(key, -1))
        return known

    def checkpoints(self) -> set[int]:
        """The steps of the checkpoints that were told and not dropped."""
        steps: set[int] = set()
        for entry in self.entries:
            if entry["kind"] == EntryKind.CHECKPOINT:
                steps.add(entry["step"])
            elif entry["kind"] == EntryKind.DROPPED:
                steps.discard(entry["step"])
        return steps


def now() -> int:
    """Milliseconds since the epoch, as MLflow counts."""
    return int(time.time() * 1000)
