"""What an entry of a run's journal tells, as the file says it. The fields of each kind: see sender.py."""

from enum import StrEnum


class EntryKind(StrEnum):
    """`DAMAGED`: a line that cannot be read; it is in no file."""

    BEGUN = "begun"
    REOPENED = "reopened"
    PARAMS = "params"
    TAGS = "tags"
    METRICS = "metrics"
    MEASURED = "measured"
    DATASET = "dataset"
    ARTIFACT = "artifact"
    TRACES = "traces"
    CHECKPOINT = "checkpoint"
    DROPPED = "dropped"
    ENDED = "ended"
    DAMAGED = "damaged"
