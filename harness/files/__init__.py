"""Files that survive a crash or a power cut, and say so when they are damaged: whole ones, growing ones, locks.

Knows nothing of what is in them. Nothing heavy hangs on it, so that this face hands on what others use;
those of packages with MLX, MLflow or Optuna behind them only name it, for --help goes by them.
"""

from harness.files.lines import Damage, Lines, append_json, cut_half_line, read_appended, read_lines
from harness.files.locks import holder, one_at_a_time, only_process
from harness.files.whole import (
    digest_of,
    make_folder,
    replace_link,
    sync,
    writable,
    write_json,
    write_text,
    write_whole,
)

__all__ = [
    "Damage",
    "Lines",
    "append_json",
    "cut_half_line",
    "digest_of",
    "holder",
    "make_folder",
    "one_at_a_time",
    "only_process",
    "read_appended",
    "read_lines",
    "replace_link",
    "sync",
    "writable",
    "write_json",
    "write_text",
    "write_whole",
]
