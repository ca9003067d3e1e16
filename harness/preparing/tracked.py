"""A prepared folder in MLflow: its splits as dataset inputs of a run, with what was reported of them.

Knows the tracking store; nothing of how the folder was made.
"""

import shutil

from harness.config.load import flat
from harness.config.paths import MLRUNS
from harness.config.schema import PrepareCommand
from harness.files import digest_of
from harness.preparing.pipeline import Prepared
from harness.preparing.place import LAST
from harness.preparing.report import JSON, MARKDOWN, PAGE

EXPERIMENT = "prepared data"


def track(prepared: Prepared, command: PrepareCommand) -> str | None:
    """Log it where there is a store: one that tracking.uri names, or the default one once it was made.

    Returns:
        The run's id; None where nothing was logged.

    Raises:
        HarnessError: when the store does not answer.
    """
    if not prepared.changed or (command.tracking.uri is None and not (MLRUNS / "mlflow.db").exists()):
        return None
    from harness.tracking.run_kind import KIND, RunKind
    from harness.tracking.run_state import RunState
    from harness.tracking.runs import TrackedRun
    from harness.tracking.store import open_writable_store

    store = open_writable_store(command.tracking)
    name, tags = prepared.out.absolute().name, {KIND: RunKind.PREPARE.value}
    with TrackedRun.start(store, EXPERIMENT, name=name, tags=tags) as run:
        settings = {f"source.{key}": value for key, value in command.source.items()}
        run.params({key: value for key, value in flat(command).items() if key != "source"} | settings)
        for split, figures in prepared.report.splits.items():
            file = prepared.out / f"{split}.jsonl"
            run.dataset(name=split, digest=digest_of(file)[:32], path=file.absolute(), context=split)
            tokens = {} if figures.tokens is None else {f"{split}/tokens": float(figures.tokens.total)}
            run.metrics(0, {f"{split}/rows": float(figures.rows)} | tokens)
        for file_name in (JSON, MARKDOWN, PAGE, LAST):
            shutil.copyfile(prepared.out / file_name, run.folder / file_name)
            run.artifact(file_name)
        run.finish(RunState.FINISHED)
        return run.run_id
