"""How much of a difference is noise: the best of a sweep trained again with other seeds."""

import hashlib
import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.config.axes import Axis, Space
from harness.multirun.context import SweepContext
from harness.multirun.find_study import study_of_repeats
from harness.multirun.parent_run import ParentRun, parent_of
from harness.multirun.trial_run import train_trial
from harness.run.context import RunPlace
from harness.sweeping.study import Study
from harness.sweeping.trial import Result, Trial, TrialEnd, best_results

REPEATED = 3  # how many of the best are trained again


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """The best of a sweep again, in a study of their own, each with seeds that follow the sweep's own."""

    context: SweepContext
    best: list[Result]
    study: Study

    @property
    def are_done(self) -> bool:
        return len(self.study.results()) >= self.study.total

    def try_one(self, trial: Trial, parent: ParentRun) -> TrialEnd:
        """The objective of their study: one of the best with one of the seeds."""
        context, seed = self.context, int(str(trial.params["seed"]))
        of = next(result.trial for result in self.best if result.trial.number == trial.params["trial"])
        name = f"{context.space.varying(of.params)} seed={seed}"
        context.display.say(f"repeat {trial.place} of {self.study.total}: {name}")
        place = RunPlace(
            name=name,
            overrides=[*context.space.words(of.params), f"train.seed={seed}"],
            sweep=parent.sweep_id,
            trial=of.number,
            repeat=seed - context.config.train.seed,
        )
        return train_trial(context, trial, parent, place)

    def said(self) -> Iterator[str]:
        """A line for each of the best, and what two single runs must differ by; of the metric's own values."""
        groups = []
        for best in self.best:
            of = [each for each in self.study.results() if each.trial.params["trial"] == best.trial.number]
            values = [self.context.objective.shown(each.value) for each in [best, *of] if each.value is not None]
            if len(values) > 1:
                groups.append(values)
                spread = f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f} over {len(values)} seeds"
                yield f"{self.context.space.varying(best.trial.params)}: {spread}"
        if groups:
            yield f"two runs that differ by less than {noise_floor(groups):.4f} may differ by their seeds alone"


def find_repeats(context: SweepContext, study: Study) -> Repeats | None:
    """What is to be trained again once all trials of `study` are done, if anything is."""
    best = best_results(study.results())[:REPEATED]
    if not context.config.sweep.repeats or not best:
        return None
    numbers = [result.trial.number for result in best]
    key = json.dumps([numbers, context.config.sweep.repeats])
    name = hashlib.sha256(key.encode()).hexdigest()[:8]
    again = study_of_repeats(context, study, name, _space(context, numbers), parent_of(study))
    return Repeats(context=context, best=best, study=again)


def run_repeats(
    context: SweepContext, repeats: Repeats, parent: ParentRun, may_begin: Callable[[], str | None]
) -> str | None:
    """Those that are left; why it ended early, if it did. `may_begin`: why no other may, if so."""
    left_early = repeats.study.run(lambda trial: repeats.try_one(trial, parent), may_begin=may_begin)
    for line in repeats.said() if context.worker.is_first else ():
        context.display.say(line)
    return left_early


def noise_floor(groups: Sequence[Sequence[float]]) -> float:
    """1.96 standard deviations of a difference, from runs that differ by their seeds within each group, pooled."""
    return 1.96 * math.sqrt(2) * deviation(groups)[0]


def deviation(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Standard deviation of a run within its group, pooled, and the degrees of freedom with which it is known."""
    squares = sum(statistics.variance(values) * (len(values) - 1) for values in groups)
    degrees = sum(len(values) - 1 for values in groups)
    return math.sqrt(squares / degrees), degrees


def _space(context: SweepContext, numbers: Sequence[int]) -> Space:
    """Which of the best, by their numbers, with which seed."""
    first = context.config.train.seed + 1
    seeds = range(first, first + context.config.sweep.repeats)
    return Space(
        [Axis("trial", [*numbers], list(map(str, numbers))), Axis("seed", [*seeds], list(map(str, seeds)))], []
    )
