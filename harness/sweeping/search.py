"""Optuna's samplers and pruners by the names that sweep.sampler and sweep.pruner have for them."""

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
    WilcoxonPruner,
)
from optuna.samplers import BaseSampler, CmaEsSampler, QMCSampler, RandomSampler, TPESampler

from harness.config.hints import did_you_mean
from harness.config.schema import SweepConfig
from harness.errors import HarnessError


def make_sampler(search: SweepConfig, trials: int, *, conditional: bool) -> BaseSampler:
    """`trials`: those there are. Another seed each time, else a study gone on with would suggest its first again."""
    seed = search.seed + trials
    with _experiments_allowed():
        return _sampler(search, seed, conditional=conditional)


def _sampler(search: SweepConfig, seed: int, *, conditional: bool) -> BaseSampler:
    match search.sampler:
        case "random" | "grid":
            return RandomSampler(seed=seed)
        case "qmc":  # its sequence goes on by itself, under one seed
            return QMCSampler(
                seed=search.seed, scramble=True, warn_asynchronous_seeding=False, warn_independent_sampling=False
            )
        case "cmaes":
            return _cmaes(seed)
    if search.trials is None:
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, constant_liar=True, group=conditional)  # multivariate, as is Optuna's default


@contextmanager
def _experiments_allowed() -> Iterator[None]:
    """Optuna calls parts experimental that have been there for years."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _cmaes(seed: int) -> BaseSampler:
    try:
        import cmaes  # noqa: F401  (Optuna imports it only when it samples)
    except ImportError as error:
        raise HarnessError("sweep.sampler=cmaes needs a package: pip install 'lora-harness[cmaes]'") from error
    return CmaEsSampler(seed=seed, warn_independent_sampling=False)


def make_pruner(search: SweepConfig, first: int, last: int) -> BasePruner:
    """`first`, `last`: the updates of a trial's first and last validation.

    What is usual here found one of the best on recorded curves (benchmarks/search): Optuna's own first rungs, or no
    warm-up, end slow starters at their first validation.

    Raises:
        HarnessError: for sweep.pruner_args that the pruner does not take.
    """
    pruners: dict[str, tuple[Callable[..., BasePruner], dict[str, Any]]] = {
        "none": (NopPruner, {}),
        "median": (MedianPruner, {"n_warmup_steps": 2 * first}),
        "halving": (SuccessiveHalvingPruner, {"min_resource": first, "reduction_factor": 2}),
        "hyperband": (
            HyperbandPruner,
            {"min_resource": first, "max_resource": max(first, last), "reduction_factor": 4},
        ),
        "wilcoxon": (WilcoxonPruner, {}),  # pairs the validations at the same updates with the best trial's
        "patient": (PatientPruner, {"wrapped_pruner": None, "patience": 3}),
        "threshold": (ThresholdPruner, {}),
    }
    make, usual = pruners[search.pruner]
    taken = [name for name in inspect.signature(make).parameters if name != "wrapped_pruner"]
    for name in search.pruner_args:
        if name not in taken or search.pruner == "none":
            raise HarnessError(
                f"sweep.pruner_args.{name} is not for sweep.pruner={search.pruner}{did_you_mean(name, taken)}; "
                f"it takes {', '.join(taken) or 'nothing'}"
            )
    if search.pruner == "threshold" and "upper" not in search.pruner_args:
        raise HarnessError(
            "sweep.pruner=threshold needs the loss to prune above, such as sweep.pruner_args={upper:4.5}"
        )
    try:
        with _experiments_allowed():
            return make(**{**usual, **search.pruner_args})
    except (TypeError, ValueError) as error:
        raise HarnessError(f"sweep.pruner_args does not fit {search.pruner}: {error}") from error
