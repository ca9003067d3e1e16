"""What a line, a run and a version came of: by their records alone, and what those lack is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.config.schema import PrepareCommand, TrackingConfig
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.lineage import main
from harness.preparing.job import job_of
from harness.preparing.pipeline import prepare_folder
from harness.rounds.chain import Link, links, said
from harness.rounds.lineage import lineage
from harness.tracking.queries import newest
from harness.tracking.registry import register, set_alias
from harness.tracking.run_kind import KIND, RunKind
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store
from tests.conftest import compose_config
from tests.runs import best_of, end_run, log_checkpoint

POEMS = [{"title": title, "body": f"{title}的诗\n第{number}行"} for number, title in enumerate("河灯雨山雪海")]
RUN = "a" * 32


@pytest.fixture
def tracking(store: Store) -> TrackingConfig:
    return TrackingConfig(uri=store.uri)


def _prepared(out: Path, *words: str) -> Path:
    known = [f"data.path={out}", "model.path=null", "source.near_duplicates=off", "source.test=0", *words]
    prepare_folder(job_of(compose_config(*known, command=PrepareCommand, config_name="prepare"), Display()))
    return out


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The lines of poems, and those with a decision joined to them. Both are to stay as they are."""
    return _two_rounds(tmp_path_factory.mktemp("rounds"))


def _two_rounds(home: Path) -> tuple[Path, Path]:
    raw, decisions = home / "poems.json", home / "decisions.jsonl"
    raw.write_text(json.dumps(POEMS), "utf-8")
    decided = {"id": "s1", "decision": "accept", "theme": "桥", "text": "桥上没有人", "run": RUN, "adapter": "runs:/x"}
    decisions.write_text(json.dumps(decided), "utf-8")
    first = _prepared(home / "first", f"source.path={raw}")
    joined = ["source=reviewed", f"source.path={decisions}", f"source.earlier=[{first}]"]
    return first, _prepared(home / "second", *joined)


def _line(folder: Path, words: str, tracking: TrackingConfig) -> Link:
    return lineage(words, data=folder, tracking=tracking)


def _one(link: Link, what: str) -> Link:
    return next(each for each in links(link) if each.what == what)


def test_an_old_line_in_a_new_folder_is_followed_to_the_raw_poem(
    rounds: tuple[Path, Path], tracking: TrackingConfig
) -> None:
    first, second = rounds
    chain = _line(second, "河的诗 第0行", tracking)
    assert [each.what for each in links(chain)] == ["line", "line", "source"]
    assert (
        chain.of[0].name.startswith(str(first)) and chain.of[0].of[0].name == f"{first.parent / 'poems.json'}, poem 1"
    )
    assert chain.lacks == () and "河的诗" in chain.facts["says"] and "system" not in chain.facts["says"]


def test_what_a_record_lacks_is_said_and_not_guessed(rounds: tuple[Path, Path], tracking: TrackingConfig) -> None:
    chain = _line(rounds[1], "桥上没有人", tracking)
    assert _one(chain, "decision").lacks == ("by", "at")
    assert "without a ranking" in _one(chain, "judge").lacks[0]
    assert _one(chain, "sample").lacks == ("variant", "prompt", "seed")
    assert _one(chain, "checkpoint").lacks == ("base", "scale", "weights", "its update")
    assert f"run {RUN} is not in" in _one(chain, "run").lacks[0]
    assert any("not recorded: by" in line for line in said(chain))


def test_a_line_is_not_followed_into_a_file_that_has_changed_since(tmp_path: Path, tracking: TrackingConfig) -> None:
    first, second = _two_rounds(tmp_path)
    for name in ("train.jsonl", "valid.jsonl"):
        with (first / name).open("a", encoding="utf-8") as file:
            file.write('{"text": "new"}\n')
    chain = _line(second, "河的诗 第0行", tracking)
    assert chain.of[0].what == "source" and "has changed since" in chain.of[0].lacks[0]
    own = lineage(f"{first / 'train.jsonl'}:1", data=None, tracking=tracking)
    assert "train.jsonl has changed since" in own.lacks[0] and own.of == ()


@pytest.mark.parametrize(
    ("reference", "rule"),
    [
        ("{folder}/train.jsonl:99", "has lines 1 to 5, but got 99"),
        ("{folder}/gone.jsonl:1", "gone.jsonl is not there; give FILE:LINE"),
        ("{folder}", "is a file or a folder; say which line of it"),
        ("的诗", "6 lines have '的诗'; name one: .*train.jsonl:1, "),
        ("nowhere", "no line of .* has 'nowhere'; give another --data"),
        ("runs:/abc", "must be or end in a run's id of 32 hex digits"),
        ("1917ac79", "must be or end in a run's id of 32 hex digits; python -m harness.runs shows"),
        (RUN, f"run {RUN} is not in"),
        ("models:/none@champion", "models:/none@champion is not in"),
    ],
)
def test_what_is_not_there_is_named(
    rounds: tuple[Path, Path], tracking: TrackingConfig, reference: str, rule: str
) -> None:
    with pytest.raises(HarnessError, match=rule):
        lineage(reference.format(folder=rounds[0]), data=rounds[0], tracking=tracking)


def test_a_version_leads_to_its_run_and_that_to_the_run_whose_weights_it_began_with(
    begin: Callable[..., TrackedRun], store: Store, tracking: TrackingConfig, rounds: tuple[Path, Path]
) -> None:
    former, run = begin("lineage of versions"), begin("lineage of versions")
    end_run(former)
    run.params({"train.init_adapter": f"runs:/{former.run_id}", "data.path": str(rounds[0])})
    run.dataset(name="train", digest="d", path=rounds[0] / "train.jsonl", context="train")
    log_checkpoint(run, 6, 1.0)
    end_run(run)
    version = register(store, best_of(store, run)[0], "lineage-poet")
    set_alias(store, "lineage-poet", "champion", version.number)
    chain = lineage("models:/lineage-poet@champion", data=None, tracking=tracking)
    assert chain.name == "models:/lineage-poet/1" and chain.facts["aliases"] == "champion"
    assert chain.facts["update"] == 6 and chain.of[0].name == run.run_id
    assert [each.name for each in links(chain) if each.what == "run"] == [run.run_id, former.run_id]
    data = _one(chain, "data")
    assert data.name == str(rounds[0]) and "the run kept no digest of its file" in data.lacks[0]


def test_a_checkpoint_that_its_run_keeps_no_longer_is_said(
    begin: Callable[..., TrackedRun], store: Store, tracking: TrackingConfig, tmp_path: Path
) -> None:
    run = begin("lineage of dropped")
    for step in (3, 6):
        log_checkpoint(run, step, float(step))
    run.drop_checkpoint(6, "0000006_adapters.safetensors")
    end_run(run)
    known = {"decision": "accept", "sample": "s", "adapter": f"runs:/{run.run_id}", "run": run.run_id}
    lines = [{"text": f"after {step}", "lineage": known | {"iteration": step}} for step in (3, 6)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    kept, dropped = (_one(_line(tmp_path, str(line["text"]), tracking), "checkpoint") for line in lines)
    assert "its weights: the run keeps this checkpoint no longer" in dropped.lacks
    assert not any("no longer" in each for each in kept.lacks) and kept.name == f"runs:/{run.run_id} @ update 3"


def test_words_are_looked_for_where_the_newest_run_was_trained(
    begin: Callable[..., TrackedRun], tracking: TrackingConfig, rounds: tuple[Path, Path]
) -> None:
    run = begin("lineage of words")
    run.params({"data.path": str(rounds[1])})
    end_run(run)
    assert lineage("桥上没有人", data=None, tracking=tracking).name.startswith(str(rounds[1]))


def test_it_prints_lines_or_json(rounds: tuple[Path, Path], store: Store) -> None:
    words = ["河的诗", "--data", str(rounds[1]), "--tracking-uri", store.uri]
    shown, as_json = (CliRunner().invoke(main, [*words, *more]) for more in ([], ["--json"]))
    assert shown.exit_code == as_json.exit_code == 0, shown.output
    found: dict[str, Any] = json.loads(as_json.stdout)
    assert found["what"] == "line" and found["of"][0]["of"][0]["what"] == "source"
    assert shown.stdout.splitlines()[0] == f"line {found['name']}"


def test_a_round_is_no_run_to_choose(begin: Callable[..., TrackedRun], store: Store) -> None:
    run = begin("rounds tested", **{KIND: RunKind.ROUND.value})
    end_run(run)
    assert newest(store).run_id != run.run_id
