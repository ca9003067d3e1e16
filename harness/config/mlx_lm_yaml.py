"""Settings files of mlx_lm.lora, translated into values here, with a word on each that means something else.

Defaults are mlx-lm's own for what a file leaves out, so that the translation trains as the file did there.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config.mlx_lm_data import FEATURES, data_sets
from harness.config.paths import MLRUNS
from harness.errors import HarnessError

_DEFAULTS: dict[str, Any] = {
    "fine_tune_type": "lora",
    "optimizer": "adam",
    "optimizer_config": {},
    "seed": 0,
    "num_layers": 16,
    "batch_size": 4,
    "iters": 1000,
    "val_batches": 25,
    "learning_rate": 1e-5,
    "steps_per_report": 10,
    "steps_per_eval": 200,
    "save_every": 100,
    "max_seq_length": 2048,
    "grad_checkpoint": False,
    "grad_accumulation_steps": 1,
    "lr_schedule": None,
    "lora_parameters": {"rank": 8, "dropout": 0.0, "scale": 20.0},
    "mask_prompt": False,
    "test": False,
    "resume_adapter_file": None,
}
_WITHOUT_MEANING = {"train", "config", "clear_cache_threshold", "test_batches", "trust_remote_code"}
_SCHEDULES = {"cosine_decay": "cosine", "linear_schedule": "linear"}

Values = dict[str, dict[str, Any]]


def translate(content: Mapping[str, Any], file: Path) -> tuple[Values, list[str]]:
    """Values by group, and notes, a line each. `file`: the one that holds the content.

    Raises:
        HarnessError: for what has no counterpart here.
    """
    said = {**_DEFAULTS, **{key: value for key, value in content.items() if value is not None}}
    notes: list[str] = []
    values: Values = {"lora": _lora(said, notes), "train": _train(said, notes)}
    if "model" in said:
        values["model"] = {"path": _absolute(str(said["model"]))}
    if "data" in said or said.get("hf_dataset"):
        values["data"] = {"path": _data(said, file, notes), "system": None}
        notes.append("data.system is null: give the system prompt of your lines, so that samples are written with it")
    if "adapter_path" in said:
        notes.append(f"adapter_path={said['adapter_path']} is left out: each run has its folder under mlruns/runs")
    known = {*_DEFAULTS, *_WITHOUT_MEANING, *FEATURES, "model", "data", "adapter_path", "hf_dataset"}
    notes += [f"{key} has no counterpart here and is left out" for key in content if key not in known]
    return values, notes


def _data(said: Mapping[str, Any], file: Path, notes: list[str]) -> str:
    """The folder to train on; one that is still to be prepared where the file names other data than such a folder."""
    named = data_sets(said)
    if not named and Path(str(said["data"])).expanduser().exists():
        return _absolute(str(said["data"]))
    if not named:
        notes.append(f"data={said['data']} is no folder here, so that it is a name on Hugging Face's hub, as in mlx-lm")
    folder = str(MLRUNS / "data" / file.stem)
    notes.append(
        f"make the lines once: python -m harness.prepare source=hf source.path={shlex.quote(str(file))} "
        f"source.test=0 source.near_duplicates=off data.path={shlex.quote(folder)}"
    )
    return folder


def _lora(said: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    if said["fine_tune_type"] not in ("lora", "dora"):
        raise HarnessError(f"fine_tune_type={said['fine_tune_type']} has no counterpart here; lora and dora have")
    given = {**_DEFAULTS["lora_parameters"], **said["lora_parameters"]}
    if "alpha" in given:
        notes.append(f"alpha={given['alpha']} is left out: mlx-lm ignores it, scale={given['scale']} is what trained")
    layers = int(said["num_layers"])
    return {
        "fine_tune_type": said["fine_tune_type"],
        "rank": int(given["rank"]),
        "scale": float(given["scale"]),
        "dropout": float(given["dropout"]),
        "num_layers": layers if layers > 0 else -1,  # mlx-lm takes 0 for all as well
        "keys": given.get("keys"),
    }


def _train(said: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    accumulation, batch = int(said["grad_accumulation_steps"]), int(said["batch_size"])
    counts = {key: int(said[key]) for key in ("iters", "steps_per_report", "steps_per_eval", "save_every")}
    updates = {key: max(count // accumulation, 1) for key, count in counts.items()}
    if accumulation > 1:
        changed = ", ".join(f"{key} {counts[key]} is {updates[key]}" for key in counts)
        notes.append(f"counts are optimizer updates here, not micro-batches of {accumulation} an update: {changed}")
    rows = int(said["val_batches"]) * batch
    if rows > 0:
        notes.append(
            f"val_batches={said['val_batches']} drew other rows each time; train.valid_rows={rows} are always the same"
        )
    optimizer = str(said["optimizer"]).lower()
    arguments = dict(said["optimizer_config"].get(optimizer) or {})
    if optimizer in ("adam", "adamw") and "bias_correction" not in arguments:
        arguments["bias_correction"] = False
        notes.append("bias_correction is false, as MLX has it; leave train.optimizer_args out for Adam as published")
    if said["resume_adapter_file"]:
        notes.append(
            "resume_adapter_file loads weights only: that is train.init_adapter; train.resume goes on with a run"
        )
    return updates | {
        "epochs": None,
        "batch_size": batch,
        "grad_accumulation_steps": accumulation,
        "max_seq_length": int(said["max_seq_length"]),
        "mask_prompt": bool(said["mask_prompt"]),
        "optimizer": optimizer,
        "optimizer_args": arguments,
        "max_grad_norm": None,
        "grad_checkpoint": bool(said["grad_checkpoint"]),
        "valid_rows": rows if rows > 0 else None,
        "seed": int(said["seed"]),
        "test": bool(said["test"]),
        "init_adapter": said["resume_adapter_file"],
        **_schedule(said, updates["iters"], notes),
    }


def _schedule(said: Mapping[str, Any], updates: int, notes: list[str]) -> dict[str, Any]:
    schedule = said["lr_schedule"]
    if not schedule:
        return {
            "lr_schedule": "constant",
            "warmup": 0,
            "learning_rate": float(said["learning_rate"]),
            "learning_rate_end": 0.0,
        }
    name, arguments, warmup = schedule["name"], schedule["arguments"], int(schedule.get("warmup", 0))
    if name not in _SCHEDULES:
        raise HarnessError(f"lr_schedule {name} has no counterpart here; {' and '.join(_SCHEDULES)} have")
    peak, *rest = (float(argument) for argument in arguments)
    steps, end = (rest[0], rest[1] if len(rest) > 1 else 0.0) if name == "cosine_decay" else (rest[1], rest[0])
    if round(steps) != updates - warmup:
        notes.append(
            f"lr_schedule decays over the {updates - warmup} updates after the warm-up here, not over {steps:g}"
        )
    if float(said["learning_rate"]) != peak:
        notes.append(f"train.learning_rate is the schedule's {peak:g}; mlx-lm ignores learning_rate beside it")
    return {"lr_schedule": _SCHEDULES[name], "warmup": warmup, "learning_rate": peak, "learning_rate_end": end}


def _absolute(path: str) -> str:
    """A local folder by its whole path, since a preset is used from anywhere; a hub name as it is."""
    local = Path(path).expanduser()
    return str(local.resolve()) if local.exists() else path
