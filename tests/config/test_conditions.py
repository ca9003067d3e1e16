"""Conditions on what is tried, and on what varies when."""

import re
from typing import Any

import pytest

from harness.config.axes import Axis, Range, Rules, Space, as_combination, with_rules
from harness.config.conditions import read_condition
from harness.config.read_axes import read_space
from harness.errors import HarnessError
from tests.conftest import compose_config

KNOWN = ["lora.rank", "lora.num_layers", "train.optimizer", "lora.dropout", "train.max_grad_norm"]
VALUES: dict[str, Any] = {
    "lora.rank": 8,
    "lora.num_layers": 16,
    "train.optimizer": "adam",
    "lora.dropout": 0.1,
    "train.max_grad_norm": None,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("lora.rank * lora.num_layers <= 128", True),
        ("lora.rank * lora.num_layers < 128", False),
        ("4 < lora.rank <= 8", True),
        ("train.optimizer == 'adam' and lora.rank % 4 == 0", True),
        ("train.optimizer not in ['adam', 'sgd']", False),
        ("not lora.dropout > 0.05 or -lora.rank + 9 / 1 == 1", True),
        ("train.max_grad_norm == null", True),
    ],
)
def test_conditions_are_worked_out(text: str, holds: bool) -> None:
    assert read_condition(text, KNOWN).holds(VALUES) is holds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lora.rnk < 3", "lora.rnk in the condition lora.rnk < 3 is not a setting; did you mean lora.rank?"),
        ("__import__('os').system('ls')", "is not a condition; write one such as lora.rank * lora.num_layers <= 128"),
        ("lora.rank =", "is not a condition"),
        ("[x for x in lora.rank]", "is not a condition"),
        ("lora.rank if lora.rank else 2", "is not a condition"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(HarnessError, match=re.escape(complaint)):
        read_condition(text, KNOWN)


def test_a_condition_on_values_that_do_not_fit_says_so() -> None:
    with pytest.raises(HarnessError, match="train.max_grad_norm > 1 cannot be worked out"):
        read_condition("train.max_grad_norm > 1", KNOWN).holds(VALUES)


def _space(words: list[str], *sweep: str) -> Space:
    return with_rules(read_space({}, words), compose_config(*sweep))


def test_a_name_varies_only_where_its_condition_holds() -> None:
    space = _space(["lora.dropout=0.0,0.1,0.2", "lora.rank=4,16"], "sweep.only_if={lora.dropout: 'lora.rank > 8'}")
    assert [axis.name for axis in space.axes] == ["lora.rank", "lora.dropout"], "what it depends on comes first"
    found = list(space.combinations())
    assert found == [{"lora.rank": 4}, *({"lora.rank": 16, "lora.dropout": rate} for rate in (0.0, 0.1, 0.2))]
    assert space.words(found[0]) == ["lora.rank=4"] and space.varying(found[3]) == "rank=16 dropout=0.2"


def test_what_breaks_a_constraint_is_not_among_the_combinations() -> None:
    space = _space(["lora.rank=4,8,16", "lora.num_layers=2,4"], "sweep.constraints=['lora.rank*lora.num_layers<=32']")
    products = [int(str(one["lora.rank"])) * int(str(one["lora.num_layers"])) for one in space.combinations()]
    assert products == [8, 16, 16, 32, 32]


@pytest.mark.parametrize(
    ("sweep", "complaint"),
    [
        ("sweep.only_if={lora.scale: 'lora.rank > 8'}", "sweep.only_if speaks of lora.scale, which does not vary here"),
        ("sweep.only_if={lora.rank: 'lora.dropout > 0', lora.dropout: 'lora.rank > 8'}", "goes round in a circle"),
        ("sweep.constraints=['lora.rnk > 8']", "is not a setting; did you mean lora.rank?"),
    ],
)
def test_rules_that_cannot_be_are_refused(sweep: str, complaint: str) -> None:
    with pytest.raises(HarnessError, match=re.escape(complaint)):
        _space(["lora.rank=4,16", "lora.dropout=0.0,0.1"], sweep)


def test_a_runs_parameters_are_read_in_the_terms_of_a_search() -> None:
    axes: list[Axis | Range] = [
        Axis("lora.rank", [4, 8], ["4", "8"]),
        Axis("train.grad_checkpoint", [True, False], ["true", "false"]),
        Range("train.learning_rate", 1e-5, 1e-3, log=True, whole=False),
    ]
    space = Space(axes, [], Rules())
    params = {"lora.rank": "8", "train.grad_checkpoint": "True", "train.learning_rate": "0.0001", "more": "1"}
    assert as_combination(space, params) == {"lora.rank": 8, "train.grad_checkpoint": True, "train.learning_rate": 1e-4}
    for outside in ({"lora.rank": "16"}, {"train.learning_rate": "0.1"}, {"train.learning_rate": "x"}):
        assert as_combination(space, params | outside) is None


def test_glob_tries_every_group_option_that_it_matches() -> None:
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from harness.config.paths import CONF

    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        (axis,) = read_space({}, ["experiment=glob(poetry*)"], loader).axes
    assert isinstance(axis, Axis) and axis.words == ["poetry-32b", "poetry-7b"]
