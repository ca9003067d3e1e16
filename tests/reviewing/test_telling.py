"""What was decided reaches MLflow, on a trace of the run that wrote the text, and never holds up the page."""

import dataclasses
from pathlib import Path
from typing import Any

from harness.reviewing.events import Events
from harness.reviewing.telling import Teller
from harness.tracking.feedback import log_reviewed
from harness.tracking.opinions import Reviewed
from harness.tracking.store import Store
from tests.reviewing.written import Hand, desk_of, judged_as, sample, write_samples


def _told(store: Store, experiment: str) -> dict[tuple[str, str], tuple[Any, Any]]:
    """By name and source, what the one trace says."""
    (trace,) = store.client.search_traces(locations=[experiment])
    said = [each for each in trace.info.assessments if each.feedback is not None]
    return {(each.name, each.source.source_id): (each.feedback.value, each.rationale) for each in said}


def test_each_sample_is_a_trace_of_its_run_with_what_people_and_the_judge_said(
    tmp_path: Path, store: Store, begin: Any
) -> None:
    run = begin("reviewed")
    experiment = store.experiment_id("reviewed")
    written = sample(0, run=run.run_id)
    file = write_samples(tmp_path / "s.jsonl", [written, sample(1, run="unknown")])
    marks = {written.id: {"theme": {"score": 4, "reason": "on it"}}}
    judged = dataclasses.replace(judged_as({written.id: 0.7}), marks=marks)
    events = Events(file.with_suffix(".review.sqlite"))

    def tell() -> int:
        teller = Teller(events, judged, lambda: lambda reviewed: log_reviewed(store, reviewed))
        teller.start()
        return teller.finish()

    with desk_of(file, judged) as desk:
        ada, bo = Hand(desk), Hand(desk, "bo")
        ada.say("accept", note="clear")
        ada.say("delete")
        bo.say("edit", "another")
        assert tell() == 0
        assert _told(store, experiment) == {
            ("review", "ada"): ("accept", "clear"),
            ("review", "bo"): ("edit", None),
            ("judge", "judge"): (0.7, "places 1/2"),
            ("judge/theme", "judge"): (4, "on it"),
        }
        ada.undo()
        ada.undo()
        ada.say("skip")
        bo.undo()
        assert tell() == 0
        assert _told(store, experiment) == {
            ("review", "ada"): ("skip", None),
            ("judge", "judge"): (0.7, "places 1/2"),
            ("judge/theme", "judge"): (4, "on it"),
        }
    (trace,) = store.client.search_traces(locations=[experiment], run_id=run.run_id)
    assert "line one of 0" in str(trace.data.response)
    events.close()


def test_a_store_that_fails_loses_no_decision_and_is_told_the_next_time(tmp_path: Path) -> None:
    file = write_samples(tmp_path / "s.jsonl", [sample(number) for number in range(3)])
    events = Events(file.with_suffix(".review.sqlite"))
    heard: list[Reviewed] = []

    def broken(reviewed: Reviewed) -> bool:
        if heard:
            raise ConnectionError("gone")
        heard.append(reviewed)
        return True

    with desk_of(file) as desk:
        hand = Hand(desk)
        teller = Teller(events, desk.judged, lambda: broken)
        for _ in range(3):
            hand.say("accept")
        teller.start()
        assert teller.finish() == 2
        assert teller.trouble == "ConnectionError: gone"
        later = Teller(events, desk.judged, lambda: lambda reviewed: not heard.append(reviewed))
        later.start()
        assert later.finish() == 0
    assert len({reviewed.text for reviewed in heard}) == 3 == len(heard)
    events.close()


def test_what_one_store_does_not_know_is_told_to_another(tmp_path: Path) -> None:
    file = write_samples(tmp_path / "s.jsonl", [sample(0), sample(2), sample(1)])  # of two runs
    events = Events(file.with_suffix(".review.sqlite"))
    asked: list[str] = []

    def knows_none(reviewed: Reviewed) -> bool:
        asked.append(reviewed.run)
        return False

    with desk_of(file) as desk:
        hand = Hand(desk)
        for _ in range(3):
            hand.say("accept")
        for tell in (knows_none, lambda reviewed: not asked.append(reviewed.text)):
            teller = Teller(events, desk.judged, lambda tell=tell: tell)  # type: ignore[misc]
            teller.start()
            assert teller.finish() == 0
    assert asked[:2] == ["a" * 8, "b" * 8] and len(asked) == 5, "a run that is not known is asked for once"
    events.close()


def test_nothing_is_opened_where_no_text_was_written_by_a_run(tmp_path: Path) -> None:
    file = tmp_path / "poems.json"
    file.write_text('[[["a", "b"]]]', "utf-8")
    events = Events(file.with_suffix(".review.sqlite"))

    def connect() -> Any:
        raise AssertionError("opened")

    with desk_of(file) as desk:
        Hand(desk).say("accept")
        teller = Teller(events, desk.judged, connect)
        teller.start()
        assert teller.finish() == 0 and teller.trouble is None
    events.close()
