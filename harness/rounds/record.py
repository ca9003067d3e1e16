"""A round as a run in MLflow, so that rounds stand side by side there: its figures, its lines, its lineage.

Knows the store. Logged once, however often the command is interrupted.
"""

from pathlib import Path

from harness.files import write_json, write_text
from harness.rounds.figures import Figures
from harness.rounds.folder import TRAINED_ON
from harness.rounds.source import Champion
from harness.rounds.state import Round
from harness.tracking.ancestry import rounds_of
from harness.tracking.run_kind import KIND, RunKind
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store

EXPERIMENT = "rounds"
FIGURES, LINEAGE = "round.json", "lineage.html"


def record(store: Store, folder: Path, current: Round, champion: Champion, figures: Figures) -> str:
    """The id of the round's run. One that was cut short before is left as it is, and another one made."""
    where = str(folder.resolve())
    whole = [run for run in rounds_of(store, EXPERIMENT, where, current.number) if run.status is RunState.FINISHED]
    if whole:
        return whole[0].run_id
    tags = {KIND: RunKind.ROUND.value, "rounds": where, "round": str(current.number)}
    tags |= {"sweep_of_round": current.sweep, "champion": figures.champion}
    with TrackedRun.start(store, EXPERIMENT, name=f"{folder.name} {current.number}", tags=tags) as run:
        run.params({"sweep": figures.sweep, "champion": figures.champion, "champion_step": figures.step})
        run.params({"score": figures.label, "scored_on": figures.valid})
        for name, lines, path in (
            ("trained on", figures.trained_on, champion.data),
            ("made", figures.made, current.data),
        ):
            if lines is not None:
                file = (path / TRAINED_ON).absolute()
                run.params({f"data.{name.replace(' ', '_')}": lines.digest})
                run.dataset(name=name, digest=lines.digest[:32], path=file, context=name)
        run.metrics(current.number, figures.metrics)
        write_json(run.folder / FIGURES, figures.to_json())
        write_text(run.folder / LINEAGE, current.lineage.read_text("utf-8"))
        for each in (FIGURES, LINEAGE):
            run.artifact(each)
        run.finish(RunState.FINISHED)
        return run.run_id
