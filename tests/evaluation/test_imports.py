"""What judging by an endpoint does without."""

import subprocess
import sys

_LOOK = """
import sys
import harness.evaluation.anchors, harness.evaluation.samples, harness.judge, harness.sampling.samples
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"mlx", "mlx_lm", "transformers", "optuna"}))
"""


def test_reading_samples_and_judging_them_loads_no_mlx() -> None:
    """A local judge alone needs it, to find its weights."""
    looked = subprocess.run([sys.executable, "-c", _LOOK], capture_output=True, text=True, check=True)
    assert looked.stdout.strip() == ""
