"""Is it known where the adapter comes from: its run, the configuration, the rows, the update.

Knows what the store and the checkpoint say. Whether the rows are still here is for the checks that read them.
"""

from harness.releasing.checks.subject import Subject
from harness.releasing.checks.verdict import CheckKind, Verdict

_SPLITS = ("train", "valid")


def check_lineage(subject: Subject) -> Verdict:
    """The figure is how many things are missing."""
    missing = _missing(subject)
    if missing:
        known = subject.ancestry is not None
        todo = "put it back, or train again" if known else "promote a checkpoint that a run here logged"
        said = f"{subject.adapter.source} lacks {', '.join(missing)}; {todo}"
    else:
        assert subject.ancestry is not None, "else it is missing"
        said = f"run {subject.ancestry.run.run_id}, its configuration and the digests of its rows are recorded"
    return Verdict(
        check=CheckKind.LINEAGE, passed=not missing, figure=len(missing), limit=0, said=said, details=missing
    )


def _missing(subject: Subject) -> list[str]:
    found = [] if subject.ancestry is not None else ["a run of this store"]
    found += [f"the digest of its {name} split" for name in _SPLITS if not subject.digests.get(name)]
    if subject.config is None:
        found.append("its run's configuration beside it")
    if subject.adapter.iteration is None:
        found.append("the update it was saved after")
    return found
