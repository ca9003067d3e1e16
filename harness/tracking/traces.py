"""Calls to a judge as MLflow traces, linked to the run that they were made for."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities.span import NoOpSpan
from mlflow.exceptions import MlflowException

from harness.tracking.store import Store, use_globally

_LIMIT = 100  # a run: MLflow links so many at a time, and each costs 20 ms; all calls are in the file


@dataclass(frozen=True)
class Call:
    """`at`: when it ended, milliseconds since the epoch."""

    name: str
    model: str
    prompt: str
    reply: str
    unscored: str | None
    at: int
    seconds: float


def log_traces(store: Store, run_id: str, experiment_id: str, file: Path) -> None:
    """Told again it tells nothing: a run has its traces or has none."""
    client = store.client
    if client.search_traces(locations=[experiment_id], run_id=run_id, max_results=1, include_spans=False):
        return
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"  # else what fails is lost without a word
    use_globally(store.uri)
    traces = []
    for call in json.loads(file.read_text("utf-8"))[:_LIMIT]:
        ended = call["at"] * 1_000_000
        span = client.start_trace(
            call["name"],
            span_type="LLM",
            inputs={"prompt": call["prompt"]},
            attributes={"model": call["model"]},
            experiment_id=experiment_id,
            start_time_ns=ended - int(call["seconds"] * 1e9),
        )
        if isinstance(span, NoOpSpan):  # MLflow swallows what went wrong; the sender tries again
            raise MlflowException(f"the trace of {call['name']} cannot be kept")
        outputs = {"reply": call["reply"], "unscored": call["unscored"]}
        client.end_trace(
            span.trace_id, outputs=outputs, status="ERROR" if call["unscored"] else "OK", end_time_ns=ended
        )
        traces.append(span.trace_id)
    if traces:
        client.link_traces_to_run(traces, run_id)
