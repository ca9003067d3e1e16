"""Runs in MLflow, the only home of MLflow: a journal in the run's folder first, sent by a thread of its own.

Knows runs, checkpoints, the registry and links. Does not know what a metric means, but for the objective by which
runs are put in order.
Others use: store.open_store, runs.TrackedRun, run_folder, references, registry.
"""
