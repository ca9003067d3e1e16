"""What the gate lets into use, what it refuses, and what is kept of both."""

import io
import json
import re
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.models import builtin
from harness.models.adapter_reading import read_adapter
from harness.releasing.choice import Choice
from harness.releasing.listing import print_history, print_versions
from harness.releasing.promotion import NotPromotedError, promote, roll_to
from harness.tracking.checkpoints import drop_checkpoint
from harness.tracking.moves import MovedBy, moves_of
from harness.tracking.registry import alias_version, resolve, set_alias
from harness.tracking.store import Store
from harness.tracking.versions import aliases_of, model_names, versions_of
from tests.releasing.conftest import Train
from tests.releasing.gates import forced, quick_terms

Said = pytest.CaptureFixture[str]
Promote = Callable[..., None]


@pytest.fixture
def promote_run(store: Store) -> Promote:
    """Its best checkpoint, by settings of the gate or with a reason."""

    def run(run_id: str | None, name: str, *words: str, force: str | None = None, **choice: Any) -> None:
        chosen = Choice(run=run_id, **choice)
        terms = quick_terms(*words, force=force)
        promote(TrackingConfig(uri=store.uri), chosen, terms, name=name, alias="champion")

    return run


def _registry(store: Store) -> list[Any]:
    """All that is in it."""
    return [(name, versions_of(store, name), aliases_of(store, name), moves_of(store, name)) for name in _names(store)]


def _names(store: Store) -> list[str]:
    return sorted(model_names(store))


def test_the_first_is_compared_with_the_bare_base_and_says_so_on_its_page(
    store: Store, good: str, promote_run: Promote, capsys: Said
) -> None:
    promote_run(good, "first")
    said = capsys.readouterr().out
    assert "comparison: passed: better than the bare base by" in said
    assert "on the 8 rows of test.jsonl, which chose nothing" in said
    assert "models:/first@champion is now version 1" in said
    (version,) = versions_of(store, "first")
    kinds = ("comparison", "completeness", "lineage", "agreement", "forgetting", "extraction")
    assert {version.tags[f"gate.{kind}"] for kind in kinds} == {"passed"} and version.tags["gate"] == "passed"
    assert float(version.tags["gate.comparison.figure"]) > float(version.tags["gate.comparison.limit"])
    assert f"run {good}" in version.page and "| comparison | passed | " in version.page
    assert "- **extraction**: 0 of 4 training rows come back" in version.page
    (move,) = moves_of(store, "first")
    assert (move.before, move.to, move.by) == (None, 1, MovedBy.GATE) and "the bare base" in move.why and move.who
    before = _registry(store)
    promote_run(good, "first")
    assert re.search(r"is models:/first@champion already; .*@champion stays version 1", capsys.readouterr().out)
    assert _registry(store) == before


def test_one_that_is_no_better_than_the_champion_is_refused_and_nothing_changes(
    store: Store, good: str, worse: str, promote_run: Promote
) -> None:
    promote_run(good, "better")
    before = _registry(store)
    with pytest.raises(NotPromotedError) as refused:
        promote_run(worse, "better")
    assert "not promoted: comparison: worse than models:/better@champion (version 1) by" in str(refused.value)
    assert 'models:/better@champion stays version 1 (--force "reason"' in str(refused.value)
    assert _registry(store) == before


def test_one_whose_weights_were_changed_is_asked_nothing_else(
    store: Store, train: Train, tested: Path, promote_run: Promote
) -> None:
    run = train("name=damaged", f"data.path={tested}", "train.iters=3")
    weights = resolve(store, f"runs:/{run}") / "adapters.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    before = _registry(store)
    with pytest.raises(NotPromotedError, match=r"^not promoted: completeness: .* does not hold the weights") as refused:
        promote_run(run, "damaged")
    assert "comparison" not in str(refused.value) and _registry(store) == before


def test_all_reasons_are_said_at_once_and_a_model_that_was_never_promoted_is_not_made(
    store: Store, good: str, promote_run: Promote
) -> None:
    before = _registry(store)
    with pytest.raises(NotPromotedError) as refused:
        promote_run(good, "never", "gate.threshold=0.1", "gate.extraction.given=90")
    assert "misses gate.threshold=0.1" in str(refused.value) and "; extraction: " in str(refused.value)
    assert str(refused.value).count("models:/never@champion stays unset") == 1
    assert _registry(store) == before


def test_a_persons_reason_promotes_what_the_gate_refuses_and_is_kept(
    store: Store, good: str, worse: str, promote_run: Promote, capsys: Said
) -> None:
    promote_run(good, "forced")
    promote_run(worse, "forced", force="the poems are better")
    assert "comparison: refused: worse than" in capsys.readouterr().out
    assert alias_version(store, "forced", "champion") == 2
    version = versions_of(store, "forced")[-1]
    assert version.tags["gate"] == "forced: the poems are better" and version.tags["gate.comparison"] == "refused"
    assert "forced, “the poems are better”" in version.page and version.tags["promoted_by"] in version.page
    move = moves_of(store, "forced")[-1]
    assert (move.before, move.to, move.by, move.why) == (1, 2, MovedBy.FORCE, "the poems are better")


def test_a_roll_back_is_not_gated_and_stands_in_the_history_and_the_list(
    store: Store, good: str, worse: str, promote_run: Promote, capsys: Said
) -> None:
    tracking = TrackingConfig(uri=store.uri)
    promote_run(good, "rolled", force="not needed")
    promote_run(worse, "rolled", force="a test")
    roll_to(tracking, Choice(), name="rolled", alias="champion", version=1)
    assert alias_version(store, "rolled", "champion") == 1
    assert [(move.before, move.to) for move in moves_of(store, "rolled")] == [(None, 1), (1, 2), (2, 1)]
    capsys.readouterr()
    print_history(tracking, "rolled")
    history = capsys.readouterr().out
    assert [word for word in history.split() if word in list(MovedBy)] == ["gate", "force", "roll-back"]
    print_versions(tracking, "rolled")
    first, second = capsys.readouterr().out.splitlines()[-3:-1]
    assert "champion" in first and good in first and "champion" not in second and "forced: a test" in second
    set_alias(store, "rolled", "champion", 2)
    print_history(tracking, "rolled")
    assert "@champion points at version 2, where it was moved before" in capsys.readouterr().out


class _Moving(io.StringIO):
    """Output that points the alias elsewhere once, as another process might, when the comparison is done."""

    def __init__(self, move: Callable[[], object]) -> None:
        super().__init__()
        self._move: Callable[[], object] | None = move

    def write(self, text: str) -> int:
        if text.startswith("comparison:") and self._move is not None:
            move, self._move = self._move, None
            move()
        return super().write(text)


def test_a_champion_that_changes_meanwhile_is_compared_with_again(
    store: Store, good: str, worse: str, promote_run: Promote
) -> None:
    promote_run(worse, "meanwhile")
    promote_run(good, "meanwhile", force="a test")
    set_alias(store, "meanwhile", "champion", 1)
    moving = _Moving(lambda: set_alias(store, "meanwhile", "champion", 2))
    with redirect_stdout(moving) as said:
        promote_run(good, "meanwhile")
    assert "@champion has moved meanwhile; compared again" in said.getvalue()
    assert "is models:/meanwhile@champion already" in said.getvalue()


def test_a_champion_that_cannot_be_loaded_is_beaten_by_force_alone(
    store: Store, train: Train, tested: Path, good: str, promote_run: Promote, tmp_path: Path
) -> None:
    worse = train("name=gone", f"data.path={tested}", "train.iters=3")
    model = store.client.create_registered_model("foreign")
    store.client.create_model_version("foreign", source=str(tmp_path))
    set_alias(store, model.name, "champion", 1)
    with pytest.raises(NotPromotedError, match="comparison was not checked: .* was not registered from a checkpoint"):
        promote_run(good, "foreign")
    promote_run(good, "foreign", force="what is there is not ours")
    assert alias_version(store, "foreign", "champion") == 2
    promote_run(worse, "gone")
    model_id = versions_of(store, "gone")[0].model_id
    assert model_id is not None
    drop_checkpoint(store, model_id)
    with pytest.raises(NotPromotedError, match="comparison was not checked: adapter models:/gone/1 is not in"):
        promote_run(good, "gone")


def test_a_champion_on_another_base_is_compared_on_the_same_lines(
    train: Train, good: str, tested: Path, promote_run: Promote, base_copy: Path, capsys: Said
) -> None:
    promote_run(train("name=gated", f"data.path={tested}", "train.iters=3", f"model.path={base_copy}"), "bases")
    promote_run(good, "bases", "gate.min_sigma=0")
    assert "better than models:/bases@champion (version 1)" in capsys.readouterr().out


@pytest.fixture
def base_copy(tmp_path: Path) -> Path:
    """The tiny base with other files, and so of another revision."""
    folder = tmp_path / "base"
    shutil.copytree(builtin.folder(builtin.TINY), folder)
    (folder / "more.json").write_text("{}", encoding="utf-8")
    return folder


def test_without_a_test_split_halves_of_the_validation_rows_say_what_luck_leaves(
    train: Train, untested: Path, promote_run: Promote, capsys: Said
) -> None:
    run = train("name=halved", f"data.path={untested}", "train.iters=9", "train.valid_rows=8")
    promote_run(run, "halved")
    assert "those of the 8 rows of valid.jsonl that did not choose it among 3 checkpoints" in capsys.readouterr().out


def test_a_test_split_of_rows_that_were_trained_on_or_chose_is_none(
    train: Train, untested: Path, promote_run: Promote, tmp_path: Path, capsys: Said
) -> None:
    shutil.copytree(untested, tmp_path / "copied")
    seen = [
        (untested / f"{name}.jsonl").read_text("utf-8").splitlines(keepends=True)[:4] for name in ("train", "valid")
    ]
    (tmp_path / "copied" / "test.jsonl").write_text("".join(seen[0] + seen[1]), encoding="utf-8")
    promote_run(train("name=halved", f"data.path={tmp_path / 'copied'}", "train.valid_rows=8"), "copied")
    assert "rows of valid.jsonl that did not choose it" in capsys.readouterr().out


def test_rows_with_the_same_passage_count_as_one(
    train: Train, tested: Path, promote_run: Promote, tmp_path: Path, capsys: Said
) -> None:
    shutil.copytree(tested, tmp_path / "again")
    lines = [json.loads(line) for line in (tested / "test.jsonl").read_text("utf-8").splitlines()[:5]]
    themes = "<|im_start|>user\n"
    again = [line | {"text": line["text"].replace(themes, themes + each)} for line in lines for each in "一二三"]
    assert len({line["text"] for line in again}) == 15
    written = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in again)
    (tmp_path / "again" / "test.jsonl").write_text(written, encoding="utf-8")
    promote_run(train("name=halved", f"data.path={tmp_path / 'again'}", "train.iters=9"), "again")
    assert "on the 5 rows of test.jsonl" in capsys.readouterr().out


def test_a_choice_on_rows_whose_losses_are_not_known_is_refused(
    store: Store, train: Train, untested: Path, promote_run: Promote
) -> None:
    run = train("name=halved", f"data.path={untested}", "train.iters=6", "train.valid_rows=8")
    (store.runs / run / "valid_rows.npz").unlink()
    with pytest.raises(NotPromotedError, match=r"best of 2 on valid.jsonl, but what run .* keep a test.jsonl beside"):
        promote_run(run, "unknown")


def test_an_adapter_that_no_run_here_trained_is_promoted_by_force_alone(
    store: Store, good: str, promote_run: Promote, tmp_path: Path
) -> None:
    with pytest.raises(NotPromotedError) as refused:
        promote_run(None, "strange", adapter=str(_stranger(store, good, tmp_path)))
    for said in ("comparison was not checked: no run's configuration", "lineage: ", "lacks a run of this store"):
        assert said in str(refused.value)
    assert "strange" not in _names(store)
    for _ in range(2):  # the same is the same version
        promote_run(None, "strange", adapter=str(tmp_path), force="by a friend")
    (version,) = versions_of(store, "strange")
    assert version.run_id is None and version.tags["gate"] == "forced: by a friend"
    assert read_adapter(resolve(store, "models:/strange@champion")).spec.rank == 8
    assert [move.to for move in moves_of(store, "strange")] == [1]
    promote_run(good, "strange", "gate.min_sigma=0", force="the stranger is as good")
    assert alias_version(store, "strange", "champion") == 2


def _stranger(store: Store, run_id: str, folder: Path) -> Path:
    """The run's adapter as somebody else would hand it on."""
    theirs = resolve(store, f"runs:/{run_id}")
    shutil.copyfile(theirs / "adapter_config.json", folder / "adapter_config.json")
    weights = mx.load(str(theirs / "adapters.safetensors"))
    assert isinstance(weights, dict)
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    return folder


def test_a_runs_own_adapter_is_not_taken_for_a_strangers(store: Store, good: str, promote_run: Promote) -> None:
    with pytest.raises(HarnessError, match=f"trained by run {good}, which is known here; say --run {good}"):
        promote_run(None, "strange", adapter=str(store.runs / good / "adapters"))


def test_force_needs_words() -> None:
    with pytest.raises(Exception, match="--force needs a reason"):
        quick_terms(force=" ")
    assert forced().force
