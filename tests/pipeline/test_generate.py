"""Checkpoints × themes × variants into one file, that the same command goes on with."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlx_lm import generate, load

from harness.config.schema import CompareCommand, GenerateCommand
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.models.base import Base
from harness.run.context import RunPlace
from harness.run.pipeline import FinishedRun, train_run
from harness.run.session import Session
from harness.sampling.samples import Sample, read_samples, write_in_order
from harness.tracking.store import Store
from harness.writing.comparison import as_page, in_terminal
from harness.writing.grid import lay_out, write_all, write_into
from tests.conftest import QUICK, compose_config

SHORT = ["prompt=poems", "generate.max_tokens=6", "variants=all"]


@dataclass(frozen=True)
class Runs:
    """Two runs of different rank, with checkpoints after updates 3 and 6."""

    store: Store
    low: FinishedRun
    high: FinishedRun

    def command(self, *overrides: str) -> Any:
        words = [*SHORT, f"tracking.uri={self.store.uri}", *overrides]
        return compose_config(*words, command=GenerateCommand, config_name="generate")


@pytest.fixture(scope="module")
def runs(store: Store) -> Runs:
    session = Session(store, Display())
    configs = [compose_config(*QUICK, "name=generate", f"lora.rank={rank}", "train.iters=6") for rank in (2, 4)]
    low, high = (train_run(config, session, RunPlace()) for config in configs)
    return Runs(store, low, high)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text("河\n灯\n", encoding="utf-8")
    return tmp_path / "words.txt"


def _into(out: Path, command: GenerateCommand, display: Display | None = None) -> list[Sample]:
    write_into(out, lay_out(command, [command.generate.scale]), command, display or Display())
    return read_samples(out)


class _Interrupting(Display):
    """Ctrl-C as soon as so many texts are written and another one is."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    @contextmanager
    def texts(self, total: int, doing: str = "writing", what: str = "texts") -> Iterator[Callable[[int], None]]:
        written = count(1)

        def tell(tokens: int) -> None:
            if next(written) > self._after:
                raise KeyboardInterrupt

        yield tell


def test_every_checkpoint_theme_and_variant_is_written_once(runs: Runs, words: Path, tmp_path: Path) -> None:
    adapters = f"adapters=[none,{runs.low.folder}/adapters,runs:/{runs.high.run_id}]"
    samples = _into(tmp_path / "s.jsonl", runs.command(adapters, "from_iteration=3", f"themes={words}", "n=2"))
    grid = {(entry.run, entry.iteration, entry.theme, entry.variant, entry.index) for entry in samples}
    assert len(samples) == len(grid) == 5 * 2 * 5 * 2
    ids = {None: {None}, runs.low.run_id: {3, 6}, runs.high.run_id: {3, 6}}
    assert {run: {entry.iteration for entry in samples if entry.run == run} for run in ids} == ids
    assert {entry.code for entry in samples if entry.iteration == 6} == {6, 7, 8, 9, 10}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.jsonl", "words.txt"]


def test_an_interrupted_command_goes_on_to_the_same_file(runs: Runs, words: Path, tmp_path: Path) -> None:
    command = runs.command(f"adapters=[none,runs:/{runs.low.run_id}]", f"themes={words}")

    def undone(samples: list[Sample]) -> list[dict[str, Any]]:
        return [{**entry.to_json(), "seconds": 0} for entry in samples]

    whole = undone(_into(tmp_path / "whole.jsonl", command))

    with pytest.raises(KeyboardInterrupt):
        _into(tmp_path / "s.jsonl", command, _Interrupting(after=7))
    with (tmp_path / "s.jsonl").open("a") as file:
        file.write('{"half": ')  # as a process leaves it that is killed in the middle of a line
    assert len(read_samples(tmp_path / "s.jsonl")) == 7
    before = {entry.id: entry.seconds for entry in read_samples(tmp_path / "s.jsonl")}
    after = _into(tmp_path / "s.jsonl", command)
    assert undone(after) == whole
    assert {entry.id: entry.seconds for entry in after if entry.id in before} == before


def test_a_file_grows_by_other_adapters_but_not_by_other_settings(runs: Runs, words: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    first = _into(out, runs.command("model=tiny", f"themes={words}"))
    both = _into(out, runs.command(f"adapters=runs:/{runs.low.run_id}", f"themes={words}"))
    assert both[: len(first)] == first and len(both) == 2 * len(first)
    with pytest.raises(HarnessError, match=r"holds texts with generate.temperature=0.8, but this command has 0.5"):
        _into(out, runs.command("model=tiny", f"themes={words}", "generate.temperature=0.5"))


def test_texts_of_an_adapter_that_was_trained_again_in_its_place_are_not_taken_for_its_own(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter, out = tmp_path / "adapter", tmp_path / "s.jsonl"
    command = runs.command(f"adapters={adapter}", "theme=河", "generate.temperature=0")
    shutil.copytree(runs.low.folder / "adapters", adapter)
    before = _into(out, command)
    shutil.copytree(runs.high.folder / "adapters", adapter, dirs_exist_ok=True)
    both = _into(out, command)
    assert len(both) == 2 * len(before) and both[: len(before)] == before
    assert len({entry.weights for entry in both}) == 2 and len({entry.id for entry in both}) == len(both)
    assert f"{len(before)} texts by other weights of {adapter}" in capsys.readouterr().err
    assert _into(out, command) == both, "nothing is left to write"


def test_a_file_of_a_version_that_did_not_know_the_weights_is_gone_on_with(runs: Runs, tmp_path: Path) -> None:
    out, command = tmp_path / "s.jsonl", runs.command(f"adapters={runs.low.folder}/adapters", "theme=河")
    former = [dataclasses.replace(entry, weights=None) for entry in _into(out, command)]
    write_in_order(out, former)
    assert _into(out, command) == former


def test_the_texts_are_those_of_each_adapter_alone(runs: Runs) -> None:
    references = ["none", f"runs:/{runs.low.run_id}", f"runs:/{runs.high.run_id}"]

    def texts(*chosen: str) -> list[str]:
        command = runs.command(f"adapters=[{','.join(chosen)}]", "theme=河", "variants=base", "model=tiny")
        return [entry.text for entry in write_all(lay_out(command, [1.0]), command, Display())]

    assert texts(*references) == [texts(reference)[0] for reference in references]


def test_the_base_is_as_before_when_all_is_written(runs: Runs, base: Base) -> None:
    command = runs.command(f"adapters=[{runs.low.folder}/adapters,{runs.high.folder}/adapters]", "theme=河")
    grid = lay_out(command, [1.0, 0.5])
    before = dict(grid.base.model.named_modules())
    list(write_all(grid, command, Display()))
    after = dict(grid.base.model.named_modules())
    assert after.keys() == before.keys() and all(after[name] is before[name] for name in before)


def test_more_adapters_than_are_held_in_memory_are_written_in_turn(runs: Runs) -> None:
    command = runs.command(f"adapters={runs.low.folder}/adapters", "theme=河", "variants=base", "generate.batch_size=3")
    scales = [number / 10 for number in range(12)]
    together = {entry.scale: entry.text for entry in write_all(lay_out(command, scales), command, Display())}
    assert list(together) != [] and together.keys() == set(scales)
    for scale in (0.0, 1.1):
        [alone] = write_all(lay_out(command, [scale]), command, Display())
        assert alone.text == together[scale]


def test_greedy_output_of_an_adapter_is_that_of_stock_mlx_lm(runs: Runs, base: Base) -> None:
    greedy = ["generate.temperature=0", "generate.top_p=1", "generate.max_tokens=16"]
    command = runs.command(f"adapters={runs.high.folder}/adapters", *greedy, "theme=河")
    ours = list(write_all(lay_out(command, [1.0]), command, Display()))
    model, tokenizer = load(str(base.folder), adapter_path=str(runs.high.folder / "adapters"))[:2]
    for entry in ours:
        assert entry.text == generate(model, tokenizer, entry.prompt, max_tokens=16).strip()


def test_scale_zero_writes_what_the_base_writes(runs: Runs) -> None:
    words = [*SHORT, f"tracking.uri={runs.store.uri}", "theme=[b]河", "variants=base", "scales=[0,1]"]
    command = compose_config(
        *words, f"adapters=[none,runs:/{runs.high.run_id}]", command=CompareCommand, config_name="compare"
    )
    grid = lay_out(command, command.scales)
    bare, none, full = (entry.text for entry in write_all(grid, command, Display()))
    assert bare == none != full


def test_side_by_side_in_terminal_and_as_a_page(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    command = runs.command(f"adapters=[none,runs:/{runs.high.run_id}]", "theme=[b]<i>", "model=tiny")
    grid = lay_out(command, [1.0])
    samples = list(write_all(grid, command, Display()))
    in_terminal(grid.planned, samples)
    shown = capsys.readouterr().out
    assert "[b]<i> (no_close)" in shown and f"{runs.high.run_id[:8]}@6" in shown
    page = as_page(grid.planned, samples)
    assert "[b]&lt;i&gt; (no_close)" in page and page.count("<tr>") == 6


def test_the_best_of_a_sweeps_trials(store: Store) -> None:
    # made by hand: what a sweep leaves is shown in test_sweep.py
    session = Session(store, Display())
    sweep = store.client.create_run(store.experiment_id("of_sweep"), tags={"kind": "sweep"}).info.run_id
    for trial, rank in enumerate((2, 4)):
        config = compose_config(*QUICK, "name=of_sweep", f"lora.rank={rank}", "train.iters=3")
        train_run(config, session, RunPlace(name=f"rank={rank}", sweep=sweep, trial=trial))
    command = compose_config(
        *SHORT,
        f"adapters=sweeps:/{sweep}",
        "theme=河",
        "top=1",
        f"tracking.uri={store.uri}",
        command=GenerateCommand,
        config_name="generate",
    )
    assert len(lay_out(command, [1.0]).parts) == 1
    losses = {
        run.info.run_id: run.data.metrics["valid/best_loss"]
        for run in store.client.search_runs([store.experiment_id("of_sweep")], f"tags.sweep = '{sweep}'")
    }
    (part,) = lay_out(command, [1.0]).parts
    assert part.planned[0][0].run == min(losses, key=lambda run_id: losses[run_id])


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["adapters={folder}", "from_iteration=7"], "has no checkpoint from update 7 on; it has 3, 6"),
        (["adapters=runs:/{run}", "from_iteration=7"], "has no checkpoint from update 7 on; it has 3, 6"),
        (["adapters=sweeps:/{run}"], "is a single run; give it as runs:/"),
        (["adapters=[]"], "adapters must not be empty"),
    ],
)
def test_what_cannot_be_chosen_is_said(overrides: list[str], complaint: str, runs: Runs) -> None:
    filled = [word.format(folder=runs.low.folder / "adapters", run=runs.low.run_id) for word in overrides]
    command = runs.command(*filled, "theme=河")
    with pytest.raises(HarnessError) as caught:
        lay_out(command, [1.0])
    assert complaint in str(caught.value)


def test_a_sample_of_a_run_is_what_generate_writes_with_its_adapter(runs: Runs) -> None:
    (sampled,) = [json.loads(line) for line in (runs.high.folder / "samples.jsonl").read_text("utf-8").splitlines()]
    command = compose_config(
        f"adapters={runs.high.folder}/adapters",
        "theme=河",
        "generate.max_tokens=4",
        command=GenerateCommand,
        config_name="generate",
    )
    (again,) = write_all(lay_out(command, [1.0]), command, Display())
    assert (sampled["text"], sampled["seed"], sampled["iteration"]) == (again.text, again.seed, again.iteration)


def test_an_adapter_of_another_kind_of_use_is_asked_as_its_run_was(runs: Runs, tmp_path: Path) -> None:
    adapters = shutil.copytree(runs.low.folder / "adapters", tmp_path / "adapters")
    persona = compose_config(*QUICK, "prompt=persona", "data.system=null")
    record = yaml.safe_dump(dataclasses.asdict(persona), allow_unicode=True)
    (tmp_path / "config.yaml").write_text(record, encoding="utf-8")

    def prompts(*words: str) -> list[str]:
        folders = f"adapters=[{adapters},{runs.high.folder}/adapters]"
        command = compose_config(folders, "theme=河", *words, command=GenerateCommand, config_name="generate")
        return [prompt.text for part in lay_out(command, [1.0]).parts for _, prompt in part.planned]

    one, other = prompts()
    assert one.startswith("### Role:\nYou are the author") and "### Input:\n河" in one
    assert "### Role" not in other and "现代诗" in other
    one, other = prompts("data.system=只写", "prompt=chat")
    assert one == other and "只写" in one
