"""The configurations of a sweep's trials, each composed once and checked before anything runs."""

from collections.abc import Callable, Collection, Iterable, Sequence
from time import monotonic

from harness.config.axes import Combination, Range, Space, check_search, ends, with_rules
from harness.config.checks import ADAPTER_SHAPE, check_values
from harness.config.conditions import read_requirement
from harness.config.objective import WIN_RATE
from harness.config.schema import Config
from harness.console.progress import Display
from harness.errors import HarnessError, SettingError

_WHAT_ANCHORS_REST_ON = ("generate", "prompt", "judge")
_SILENT_SECONDS = 1.0  # what takes longer shows how far it is

# overrides of one trial -> its configuration
Compose = Callable[[Sequence[str]], Config]


class TrialConfigs:
    """By a trial's overrides. `space`: with its rules, once it is checked."""

    def __init__(self, space: Space, compose: Compose) -> None:
        self.space, self._compose = space, compose
        self._found: dict[tuple[str, ...], Config] = {}

    def __getitem__(self, overrides: Sequence[str]) -> Config:
        key = tuple(overrides)
        if key not in self._found:
            self._found[key] = _checked(self._compose(overrides))
        return self._found[key]

    def check(self, display: Display) -> Config:
        """Every combination; of ranges and for a number of trials each value, the ends of a range, once.

        Returns that of the lowest values.

        Raises:
            HarnessError: for the first that cannot work.
        """
        _check_names(self.space)
        lowest: Combination = {axis.name: ends(axis)[0] for axis in self.space.axes}
        first = self._first(lowest)
        check_search(self.space, first.sweep)
        _check_measures(first, lowest)
        _check_start(first, lowest)
        # what is not varied keeps the value of the configuration, whatever varies beside it
        self.space = with_rules(self.space, self._compose(self.space.fixed))
        self._check_all(self._tried(first, lowest), first, display)
        return first

    def _first(self, lowest: Combination) -> Config:
        try:
            return self[self.space.words(lowest)]
        except SettingError as error:
            parts = [axis.name for axis in self.space.axes if isinstance(axis, Range) and not axis.whole]
            if error.name in parts:
                raise SettingError(error.name, f"{error}; try {error.name}=int(interval(…))") from error
            raise

    def _tried(self, first: Config, lowest: Combination) -> list[Combination]:
        if first.sweep.trials is None:
            tried = list(self.space.combinations())
        else:
            tried = [lowest | {axis.name: value} for axis in self.space.axes for value in ends(axis)]
        if not tried:
            raise HarnessError(
                f"no combination meets {' and '.join(first.sweep.constraints)}; loosen sweep.constraints"
            )
        return tried

    def _check_all(self, tried: Sequence[Combination], first: Config, display: Display) -> None:
        started = monotonic()
        with display.computing(f"{len(tried)} configurations") as shown:
            for done, combination in enumerate(tried):
                config = self[self.space.words(combination)]
                if (config.name, config.tracking) != (first.name, first.tracking):
                    raise HarnessError(
                        "name and tracking.* must be the same for all trials of a sweep; take them out of it"
                    )
                if monotonic() > started + _SILENT_SECONDS:
                    shown(done, len(tried))


def _check_names(space: Space) -> None:
    for axis in space.axes:
        if axis.name.startswith(("sweep.", "tracking.")) or axis.name == "name":
            raise HarnessError(f"{axis.name} must be the same for all trials of a sweep; give it one value")


def _check_measures(first: Config, varied: Iterable[str]) -> None:
    """That trials will have what they are compared by, and all the same."""
    search, judged = first.sweep, first.judge.wanted
    if search.repeats and "train.seed" in varied:
        raise HarnessError("sweep.repeats tries other seeds by itself; take train.seed out of what varies")
    for text in search.require:
        read_requirement(text)
    if search.metric == WIN_RATE.name and not judged:
        raise HarnessError("sweep.metric=judge/win_rate needs a judge; set judge=poetry judge.model=…")
    for name in varied:
        if judged and name.split(".")[0] in _WHAT_ANCHORS_REST_ON and name != "generate.scale":
            raise HarnessError(f"{name} must be the same for all trials that a judge is to compare; give it one value")
    if search.metric.startswith("text/") and not first.generate.prompts:
        raise HarnessError(f"sweep.metric={search.metric} needs texts; give generate.prompts some themes")
    if search.metric == "test/loss" and not first.train.test:
        raise HarnessError("sweep.metric=test/loss needs a test score of every trial; set train.test=true")


def _check_start(first: Config, varied: Collection[str]) -> None:
    """That the weights to start from fit every trial."""
    misfit = sorted(ADAPTER_SHAPE.intersection(varied))
    if first.train.init_adapter is not None and misfit and "train.init_adapter" not in varied:
        raise HarnessError(
            f"train.init_adapter={first.train.init_adapter} fits its own {' and '.join(misfit)} alone; give that one "
            "value, or leave train.init_adapter out"
        )


def _checked(config: Config) -> Config:
    check_values(config)
    if config.train.resume is not False:
        raise HarnessError("train.resume is for single runs; the same command goes on with a sweep")
    return config
