"""What lies in a run's own folder, by name: the one home of these names. Knows nothing of what is in the files."""

# what determines the run's bytes, and what it is gone on with
CONFIG = "config.yaml"  # resolved
PARTS = "identity.json"  # what determines its weights
STATE = "state.safetensors"  # there only while it can be gone on with
ADAPTERS = "adapters"  # the checkpoints, in mlx-lm's format

# what it tells MLflow, and who holds it
JOURNAL = "tracking.jsonl"
SENT = "tracking.sent.json"
LOCK = ".lock"  # held by the process that works on the run

# what came of it
LOG = "log.jsonl"
REPORT = "report.json"
LOSSES = "loss.png"
VALID_ROWS = "valid_rows.npz"  # what each validation row lost at each scored checkpoint
SAMPLES = "samples.jsonl"
SAMPLES_TABLE = "samples.json"  # the same, as MLflow shows it
VERDICTS_TABLE = "verdicts.json"
RUBRIC = "rubric.yaml"
CALLS = "judge_calls.json"
RANKING = "ranking.json"
SWEEP_REPORT = "report.html"
