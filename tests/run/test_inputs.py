"""What a run starts from, looked at before it begins."""

from collections.abc import Callable

from harness.config.schema import Config
from harness.console.progress import Display
from harness.run.inputs import gather_inputs
from harness.run.session import Session
from harness.tracking.store import Store


class _Kept(Display):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_trials_of_one_process_say_a_warning_once_and_each_run_keeps_it(
    store: Store, quick_config: Callable[..., Config]
) -> None:
    display = _Kept()
    session = Session(store, display)
    first, second = (gather_inputs(quick_config("train.iters=500", f"lora.rank={rank}"), session) for rank in (2, 4))
    assert first.warnings and set(first.warnings) & set(second.warnings)
    said = [line for line in display.lines if line.startswith("warning: ")]
    assert len(said) == len(set(said)) == len({*first.warnings, *second.warnings})
