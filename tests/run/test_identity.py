"""What makes two runs the same."""

from collections.abc import Callable

from harness.config.schema import Config
from harness.console.progress import Display
from harness.run.identity import Parts, differences, identity_of, parts_of
from harness.run.inputs import gather_inputs
from harness.run.session import Session
from harness.tracking.store import Store


def test_what_only_watches_is_not_part_of_the_identity(store: Store, quick_config: Callable[..., Config]) -> None:
    session = Session(store, Display())

    def identity(*overrides: str) -> str:
        return identity_of(gather_inputs(quick_config(*overrides), session).parts)

    plain = identity()
    for same in (
        "name=else",
        "train.steps_per_eval=2",
        "train.steps_per_report=1",
        "train.save_every=2",
        "train.valid_rows=3",
        "train.keep=1",
        "train.memory_limit_gb=8",
        "train.cache_limit_gb=0",
        "train.test=true",
        "generate.seed=5",
        "lora.scale=20.0",
        "lora.alpha=160",
        "train.chunked_recurrence=false",  # of a model that has none
    ):
        assert identity(same) == plain, same
    for other in (
        "train.neftune_alpha=5",
        "lora.b_rate=4",
        "lora.rank=4",
        "lora.dropout=0.1",
        "train.seed=1",
        "train.iters=7",
        "train.max_seq_length=80",
    ):
        assert identity(other) != plain, other


def test_a_recurrence_in_chunks_is_no_run_of_before_and_token_by_token_is(
    store: Store, quick_config: Callable[..., Config]
) -> None:
    inputs = gather_inputs(quick_config(), Session(store, Display()))

    def parts(chunked: bool, recurrent: bool) -> Parts:
        config = quick_config(f"train.chunked_recurrence={str(chunked).lower()}")
        return parts_of(config, inputs.spec, inputs.train, None, recurrent=recurrent)

    assert parts(False, True) == parts(True, False) == inputs.parts
    assert differences(inputs.parts, parts(True, True)) == "recurrence was None and is in chunks"


def test_differences_name_both_values() -> None:
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3}) == "b was 2 and is 3"


def test_a_part_that_one_lacks_has_its_neutral_value() -> None:
    assert differences({}, {"train.chunked_recurrence": False}) == "train.chunked_recurrence was True and is False"
    assert differences({"lora.b_rate": 4.0}, {}) == "lora.b_rate was 4.0 and is None"
    assert differences({}, {"train.neftune_alpha": None}) == ""
