"""That the best lies at the edge of what was searched, and what to type to search beyond."""

from pathlib import Path

import pytest

from harness.config.axes import Axis, Range
from harness.config.read_axes import read_space
from harness.sweeping.edges import Edge, edges_of_best
from harness.sweeping.listing import find_study
from harness.sweeping.storage import open_studies
from harness.sweeping.trial import Trial, TrialEnd
from tests.sweeping.small import make_study


def _found(folder: Path, axis: Axis | Range, best: float) -> list[Edge]:
    """Of a study over one name whose lowest value is nearest to `best`, by what it stands for."""
    study = make_study(folder, axis, trials=None if isinstance(axis, Axis) else 12, sampler="auto")

    def objective(trial: Trial) -> TrialEnd:
        value = trial.params[axis.name]
        trial.run(f"run-{trial.place}")
        assert isinstance(value, int | float)
        return TrialEnd(abs((100 if value == -1 else value) - best))

    study.set_parent("p")
    study.run(objective)
    studies = open_studies(None, folder)
    return edges_of_best(studies, find_study(studies, "p"))


def _axis(words: str) -> Axis | Range:
    return read_space({}, [words]).axes[0]


@pytest.mark.parametrize(
    ("words", "best", "wider"),
    [
        ("lora.rank=4,8,16", 16, "lora.rank=4,8,16,32"),
        ("lora.rank=4,8,16", 4, "lora.rank=2,4,8,16"),
        ("lora.rank=1,2,4", 1, None),
        ("lora.rank=4,8,16", 8, None),
        ("lora.rank=4,8", 8, None),
        ("lora.rank=4,6,8", 8, "lora.rank=4,6,8,10"),
        ("lora.scale=2.0,3.0,4.5", 4.5, "lora.scale=2.0,3.0,4.5,6.75"),
        ("lora.dropout=0.0,0.1,0.2", 0.0, None),
        ("lora.dropout=0.1,0.5,0.9", 0.9, None),
        ("lora.num_layers=8,16,-1", 100, None),
        ("lora.num_layers=2,4,8", 8, "lora.num_layers=2,4,8,-1"),  # a model may have no more than 8 blocks
        ("lora.num_layers=8,16,-1", 8, "lora.num_layers=4,8,16,-1"),
        ("train.seed=1,2,3", 3, None),
        ("lora.scale=interval(1,4)", 9, "lora.scale=interval(1,6)"),
        ("lora.scale=interval(1,4)", 0, "lora.scale=interval(0.5,4)"),
        ("lora.scale=interval(1,4)", 2.5, None),
        ("train.learning_rate=tag(log,interval(1e-5,1e-3))", 1, "train.learning_rate=tag(log,interval(1e-05,0.003))"),
        ("lora.rank=int(interval(4,16))", 99, "lora.rank=int(interval(4,22))"),
        ("lora.rank=int(tag(log,interval(4,64)))", 999, "lora.rank=int(tag(log,interval(4,192)))"),
    ],
)
def test_a_best_at_the_edge_is_told_with_what_lies_beyond(
    words: str, best: float, wider: str | None, tmp_path: Path
) -> None:
    axis = _axis(words)
    found = _found(tmp_path, axis, best)
    assert [edge.wider for edge in found] == ([] if wider is None else [wider])
    for edge in found:
        assert read_space({}, [edge.wider]).axes[0].name == axis.name, "it can be typed"
        assert edge.upper == (best >= edge.value) or edge.value == best


def test_runs_further_in_are_told_with_it(tmp_path: Path) -> None:
    (edge,) = _found(tmp_path, _axis("lora.rank=4,8,16"), 16)
    assert edge.said == "lora.rank=16 of the best lies at the upper edge" and edge.inside == {"run-2"}
