"""What people and a judge made of a sample, as an MLflow trace with feedback, linked to the run that wrote it.

Told again it tells nothing twice: the trace is found by the sample, and what no longer stands is taken back.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import mlflow
from mlflow.entities import AssessmentSource, Trace
from mlflow.entities.span import NoOpSpan
from mlflow.exceptions import MlflowException

from harness.tracking.opinions import Feedback, Reviewed
from harness.tracking.store import Store, is_known, use_globally, was_deleted

_SAMPLE = "harness.sample"  # the trace's tag
_LONGEST = 8000  # characters of a text within a feedback


def log_reviewed(store: Store, reviewed: Reviewed) -> bool:
    """False where the store has no such run, or a person deleted it. What else goes wrong is MLflow's error."""
    if not is_known(store, reviewed.run) or was_deleted(store, reviewed.run):
        return False
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"  # else what fails is lost without a word
    use_globally(store.uri)
    experiment = str(store.client.get_run(reviewed.run).info.experiment_id)
    trace_id, there = _trace(store, reviewed, experiment)
    wanted = {(each.name, each.by): each for each in reviewed.feedback}
    for assessment in there:
        who = (assessment.name, assessment.source.source_id)
        each = wanted.get(who)
        if each is not None and _says(assessment, each):
            del wanted[who]
        elif who[1] in reviewed.speakers:
            mlflow.delete_assessment(trace_id=trace_id, assessment_id=assessment.assessment_id)
    for each in wanted.values():
        mlflow.log_feedback(
            trace_id=trace_id,
            name=each.name,
            value=each.value,
            source=AssessmentSource(source_type="HUMAN" if each.person else "LLM_JUDGE", source_id=each.by),
            rationale=each.why,
            metadata=_cut(each.more),
        )
    return True


def _trace(store: Store, reviewed: Reviewed, experiment: str) -> tuple[str, Sequence[Any]]:
    """The sample's trace, made if it is not there, and what was said of it."""
    found = store.client.search_traces(
        locations=[experiment],
        filter_string=f"tags.`{_SAMPLE}` = '{reviewed.key}'",
        max_results=1,
        include_spans=False,
    )
    for trace in found:
        return trace.info.trace_id, _assessments(trace)
    span = store.client.start_trace(
        f"sample: {reviewed.theme}"[:80],
        span_type="LLM",
        inputs={"theme": reviewed.theme, "prompt": reviewed.prompt},
        attributes=dict(reviewed.origin),
        tags={_SAMPLE: reviewed.key},
        experiment_id=experiment,
    )
    if isinstance(span, NoOpSpan):  # MLflow swallows what went wrong
        raise MlflowException(f"the trace of sample {reviewed.key} cannot be kept")
    store.client.end_trace(span.trace_id, outputs={"text": reviewed.text})
    store.client.link_traces_to_run([span.trace_id], reviewed.run)
    return span.trace_id, ()


def _assessments(trace: Trace) -> list[Any]:
    return [each for each in trace.info.assessments if each.feedback is not None and each.source is not None]


def _says(assessment: Any, each: Feedback) -> bool:
    more = {key: (assessment.metadata or {}).get(key) for key in each.more}
    return assessment.feedback.value == each.value and assessment.rationale == each.why and more == _cut(each.more)


def _cut(more: Mapping[str, str]) -> dict[str, str]:
    return {key: value[:_LONGEST] for key, value in more.items()}
