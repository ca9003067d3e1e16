"""Runs in MLflow, the only home of MLflow: a journal in the run's folder first, sent by a thread of its own.

Knows runs, checkpoints, the registry and links. Does not know what a metric means, but for the objective by which
runs are put in order.
Others use: store.open_store, runs.TrackedRun, run_folder, run_state, run_kind, journal, queries, reconcile, references,
registry.
"""

import os

# before any module here imports MLflow
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # stdout is for results
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# by default a server that is gone blocks a call for four minutes; what must not be lost waits in a journal
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
