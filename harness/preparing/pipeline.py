"""The recipe: a source's rows are checked, the like are grouped, split, and written whole with what is told of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.config.schema import PrepareCommand, SourceConfig
from harness.console.interrupt import interrupted_by, requests_collected
from harness.data.dataset import TextEncoder
from harness.data.sources.find import Source
from harness.data.sources.found import Rejected, Tools
from harness.errors import HarnessError
from harness.files import make_folder
from harness.files.staging import staging
from harness.preparing.check import Checker
from harness.preparing.collect import Collected, collect
from harness.preparing.figures import figures_of, warnings_of
from harness.preparing.manifest import write_manifest
from harness.preparing.place import put_in_place
from harness.preparing.report import PAGE, Reason, Report
from harness.preparing.splits import SPLITS, Member, Shares, moved, split
from harness.preparing.spool import Entry, Spool

_NAMED = 5  # reasons
REJECTED, ORIGINS = "rejected.jsonl", "origins.jsonl"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be prepared, and with what. `encoder`, and the `revision` of its base: None where none is named."""

    command: PrepareCommand
    common: SourceConfig
    source: Source
    out: Path
    encoder: TextEncoder | None
    revision: str | None
    tools: Tools

    @property
    def path(self) -> Path | None:
        """What is read; None for a source that needs no file."""
        return None if self.common.path is None else Path(self.common.path).expanduser()


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """`splits`: the rows of each. `changed`: False where the output was there already, byte for byte."""

    out: Path
    collected: Collected
    splits: dict[str, list[Entry]]
    report: Report
    changed: bool

    @property
    def summary(self) -> list[str]:
        """What was read and written, in a few lines."""
        left = ", ".join(f"{count} {kind}" for kind, count in self.collected.rejected.most_common())
        counts = ", ".join(f"{name}.jsonl {len(entries)}" for name, entries in self.splits.items())
        read = len(self.collected.entries) + self.collected.rejected.total()
        wrote = "wrote to" if self.changed else "nothing changed in"
        return [
            f"{read} read{f'; left out: {left}' if left else ''}",
            *(f"warning: {each}" for each in self.report.warnings),
            f"{wrote} {self.out}: {counts}; {self.out / PAGE} shows lengths, labels and what was left out",
        ]


def prepare_folder(job: Job) -> Prepared:
    """Read the source and write the output folder, whole or not at all.

    Raises:
        HarnessError: for a source that cannot be read, is too bad or too small; for another output that is there.
    """
    with staging(job.out, setting="data.path") as folder:
        with Spool(folder / ".rows") as spool:
            collected = _collected(job, spool, folder)
            splits = _split(collected, job.common, job.tools.say)
            for name, entries in splits.items():
                spool.write(entries, folder / f"{name}.jsonl")
        _write_origins(splits, folder / ORIGINS)
        report = _report(job, collected, splits)
        report.write(folder)
        write_manifest(folder, job.command, sources=job.source.digests(job.path), tokenizer=job.revision)
        with requests_collected() as requests:  # it takes no time, and half of it is no output
            changed = put_in_place(folder, job.out, replace=job.command.replace)
        if requests:
            raise interrupted_by(requests[0])
    return Prepared(out=job.out, collected=collected, splits=splits, report=report, changed=changed)


def _collected(job: Job, spool: Spool, folder: Path) -> Collected:
    data = job.command.data
    checker = Checker(job.encoder, job.command.train, job.common.too_long, data.labels, data.thinking)
    given = job.source.rows(job.path, job.tools)
    with (folder / REJECTED).open("w", encoding="utf-8") as list_of:
        collected = collect(given, checker, job.common, spool, list_of)
    total = collected.bad + len(collected.entries)
    if not collected.rejected and not collected.entries:
        raise HarnessError(f"source.path={job.path} has nothing in it to make a row of; give a file that is not empty")
    if total and collected.bad > job.common.max_bad * total:
        raise HarnessError(_too_bad(collected, job.common, total, _listed_beside(job, folder)))
    if not collected.entries:
        left = ", ".join(f"{each.count} {reason}" for (_, reason), each in list(collected.sorts.items())[:_NAMED])
        beside = _listed_beside(job, folder)
        raise HarnessError(f"no row is left: {left}; {beside} has all of it, see conf/source for what leaves it out")
    return collected


def _listed_beside(job: Job, folder: Path) -> Path:
    """What was rejected, beside the output that is not made."""
    out = job.out.absolute()
    beside = out.with_name(f"{out.name}.{REJECTED}")
    make_folder(beside.parent)
    (folder / REJECTED).replace(beside)
    return beside


def _write_origins(splits: dict[str, list[Entry]], path: Path) -> None:
    """Where each row comes from, for when training names a line."""
    with path.open("w", encoding="utf-8", errors="replace") as file:
        for name, entries in splits.items():
            for number, entry in enumerate(entries, start=1):
                line = {"split": name, "line": number, "origin": entry.origin}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _report(job: Job, collected: Collected, splits: dict[str, list[Entry]]) -> Report:
    figures = {name: figures_of(entries, job.command) for name, entries in splits.items()}
    return Report(
        title=f"{job.common.kind}: {job.path.name}" if job.path else job.common.kind,
        tokenizer=job.command.model.path,
        splits=figures,
        rejected={kind.value: count for kind, count in collected.rejected.most_common()},
        reasons=_reasons(collected),
        examples=[each for kind, _ in collected.rejected.most_common() for each in collected.examples[kind]],
        alike=collected.alike,
        warnings=warnings_of(splits, figures, job.command),
    )


def _reasons(collected: Collected) -> list[Reason]:
    by_kind = {kind: place for place, (kind, _) in enumerate(collected.rejected.most_common())}
    found = [
        (
            by_kind[kind],
            -sort.count,
            Reason(kind=kind.value, reason=reason, rows=sort.count, origin=sort.first.origin, start=sort.first.start),
        )
        for (kind, reason), sort in collected.sorts.items()
    ]
    return [reason for _, _, reason in sorted(found, key=lambda each: each[:2])]


def _too_bad(collected: Collected, common: SourceConfig, total: int, beside: Path) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in collected.rejected.most_common() if kind.bad)
    worst: Rejected = next(collected.examples[kind][0] for kind, _ in collected.rejected.most_common() if kind.bad)
    return (
        f"{collected.bad} of {total} rows are bad, more than source.max_bad={common.max_bad:g} allows: {kinds}; the "
        f"first: {worst.origin}: {worst.reason}; {beside} has them all: mend them, or raise source.max_bad"
    )


def _split(collected: Collected, common: SourceConfig, say: Callable[[str], object]) -> dict[str, list[Entry]]:
    members = [Member(entry.group, entry.label, entry.split) for entry in collected.entries]
    names = split(members, Shares(valid=common.valid, test=common.test, seed=common.seed))
    chosen: dict[str, list[Entry]] = {name: [] for name in SPLITS}
    for entry, name in zip(collected.entries, names, strict=True):
        chosen[name].append(entry)
    if count := moved(members, names):
        say(
            f"{count} rows stand with those of valid or test that they are near or share a group with, not where their "
            "source has them; source.near_duplicates=drop leaves out the near ones, off lets them be"
        )
    return chosen
