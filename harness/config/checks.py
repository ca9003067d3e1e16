"""Rules that need more than one value: refused before a model is loaded, or warned about.

The ranges of single values are in schema.py. Nothing here reads a file: what the data and the model
say is passed in.
"""

import math
from collections.abc import Sequence

from harness.config.panel import seats_of
from harness.config.schema import Config, JudgeConfig, TrainConfig
from harness.errors import HarnessError

# what weights of another shape do not fit
ADAPTER_SHAPE = frozenset({"lora.rank", "lora.num_layers", "lora.keys", "lora.fine_tune_type"})


def check_judge(judge: JudgeConfig) -> None:
    """Rubric and model come together.

    Raises:
        HarnessError: when one is missing, a served model has an address too, or a judge sits on the panel twice.
    """
    seats = seats_of(judge)
    if judge.second_model is not None and judge.panel:
        raise HarnessError(
            f"judge.second_model={judge.second_model} does not go with judge.panel; leave judge.second_* out, and add "
            f"{{model: {judge.second_model}}} to the panel"
        )
    if judge.criteria and (not seats or (judge.model is None and judge.second_model is not None)):
        raise HarnessError(
            "a judge needs judge.model, what its endpoint calls it; or leave judging out with judge=none"
        )
    if (judge.model is not None or judge.panel) and not judge.criteria:
        given = "judge.panel" if judge.model is None else f"judge.model={judge.model}"
        raise HarnessError(f"{given} needs a rubric; give judge=poetry, persona or instruction")
    if judge.serve and judge.model is None:
        raise HarnessError("judge.serve=true needs judge.model, the local model that is served")
    if judge.serve and judge.base_url is not None:
        raise HarnessError("judge.serve=true starts a server of its own; leave out judge.base_url, or judge.serve")


def check_values(config: Config) -> list[str]:
    """Cross-checks that need neither data nor model.

    Returns:
        Warnings, a line each, for choices that are known to be poor.

    Raises:
        HarnessError: for values that cannot work together.
    """
    check_judge(config.judge)
    if config.judge.wanted and not config.generate.prompts:
        raise HarnessError("a judge needs texts; give generate.prompts some themes, or judge=none")
    train, lora = config.train, config.lora
    if (train.iters is None) == (train.epochs is None):
        given = "neither is given" if train.iters is None else f"got {train.iters} and {train.epochs:g}"
        raise HarnessError(f"give train.iters or train.epochs, one of them, and null for the other, but {given}")
    if config.model.path is None:
        raise HarnessError("model.path must name a base model, but got null; try model=small or model.path=<folder>")
    if lora.num_layers == 0:
        raise HarnessError("lora.num_layers must be at least 1, or -1 for all blocks, but got 0")
    if train.iters:
        warmup_updates(train, train.iters)
    if train.learning_rate_end > train.learning_rate:
        raise HarnessError(
            f"train.learning_rate_end must be at most train.learning_rate={train.learning_rate:g}, "
            f"but got {train.learning_rate_end:g}"
        )
    return [warning for condition, warning in _poor_choices(config) if condition]


def _poor_choices(config: Config) -> list[tuple[bool, str]]:
    train, lora, generate = config.train, config.lora, config.generate
    scale = lora.scale or 0.0
    updates = train.iters or 0
    return [
        (
            scale > 32,
            f"lora.scale={scale:g} is high: should the text turn to gibberish, lower it or use an earlier checkpoint",
        ),
        (
            lora.rank > 128,
            f"lora.rank={lora.rank} is high: memory grows with it, and style seldom needs over 64",
        ),
        (lora.dropout > 0.3, f"lora.dropout={lora.dropout:g} is high: 0.05 to 0.2 is usual"),
        (
            train.learning_rate > 1e-2,
            f"train.learning_rate={train.learning_rate:g} is high for LoRA: 1e-5 to 1e-3 is usual on a trained base",
        ),
        (
            train.batch_size * train.grad_accumulation_steps == 1,
            "one row an update is noisy: train.grad_accumulation_steps=4 steadies it at no cost in memory",
        ),
        (
            generate.temperature == 0 and generate.top_p < 1,
            f"generate.top_p={generate.top_p:g} has no effect at generate.temperature=0",
        ),
        (
            train.warmup > 0 and updates > 0 and warmup_updates(train, updates) > 0.3 * updates,
            f"train.warmup={train.warmup:g} spends over 30 % of the run warming up: 5 % is usual",
        ),
        (
            config.data.thinking == "mask" and not train.mask_prompt,
            "data.thinking=mask has no effect with train.mask_prompt=false, by which all is learned",
        ),
        (
            train.lr_schedule == "constant" and train.learning_rate_end > 0,
            "train.learning_rate_end has no effect with train.lr_schedule=constant",
        ),
    ]


def check_data(config: Config, *, train_rows: int, valid_rows: int, test_rows: int | None = None) -> list[str]:
    """Rules that need the number of rows in each split; returns warnings.

    Raises:
        HarnessError: when a split is empty, or a batch larger than the train split.
    """
    batch = config.train.batch_size
    for split, rows in (("train", train_rows), ("valid", valid_rows), ("test", test_rows)):
        if rows == 0:
            raise HarnessError(f"{split}.jsonl in {config.data.path} has no row to learn from; add lines to it")
    if batch > train_rows:
        raise HarnessError(
            f"train.batch_size must be at most the {train_rows} rows of the train split, but got {batch}; lower it"
        )
    updates = total_updates(config.train, train_rows)
    if updates:
        warmup_updates(config.train, updates)
    passes = updates * batch * config.train.grad_accumulation_steps / train_rows
    warnings = []
    if passes > 30:
        warnings.append(f"{passes:.0f} passes over {train_rows} rows: expect it to memorise; watch valid/loss")
    if valid_rows < 10:
        warnings.append(f"valid/loss rests on {valid_rows} rows: differences between runs may be noise")
    return warnings


def check_model(config: Config, *, num_blocks: int) -> None:
    """Rules that need the number of blocks of the base.

    Raises:
        HarnessError: when more blocks are to be adapted than there are.
    """
    if config.lora.num_layers > num_blocks:
        raise HarnessError(
            f"lora.num_layers must be 1 to {num_blocks} for {config.model.path}, or -1 for all, "
            f"but got {config.lora.num_layers}"
        )


def micro_batches_per_epoch(train: TrainConfig, train_rows: int) -> int:
    return math.ceil(train_rows / train.batch_size)


def total_updates(train: TrainConfig, train_rows: int) -> int:
    """Optimizer updates of the whole run; the last update of a run by epochs may hold fewer micro-batches."""
    if train.iters is not None:
        return train.iters
    assert train.epochs is not None, "check_values comes first"
    micro_batches = math.ceil(train.epochs * micro_batches_per_epoch(train, train_rows))
    return math.ceil(micro_batches / train.grad_accumulation_steps)


def warmup_updates(train: TrainConfig, updates: int) -> int:
    """`train.warmup` is a number of updates, or a share of the run when it is below 1.

    Raises:
        HarnessError: when the warm-up is not shorter than the run.
    """
    warmup = round(train.warmup * updates) if train.warmup < 1 else round(train.warmup)
    if warmup and warmup >= updates:
        raise HarnessError(
            f"train.warmup must be shorter than the run of {updates} updates, but got {train.warmup:g}; "
            "a value below 1 is a share of the run"
        )
    return warmup


def matched_keys(keys: Sequence[str], names: Sequence[str]) -> list[str]:
    """The full module names in a block that short keys mean: q_proj means self_attn.q_proj.

    Raises:
        HarnessError: for a key that matches nothing.
    """
    found: dict[str, None] = {}
    for key in keys:
        matches = [name for name in names if name == key or name.endswith(f".{key}")]
        if not matches:
            choices = ", ".join(dict.fromkeys(name.rsplit(".", 1)[-1] for name in names))
            raise HarnessError(f"lora.keys={key} matches no layer of the base; it has {choices}")
        found |= dict.fromkeys(matches)
    return list(found)
