"""What a run is: plain frozen dataclasses, one for each group under conf/.

Types and ranges stand here and nowhere else; the values, with their reasons, are in conf/.
What depends on several values, on the data or on the model is in checks.py.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Thinking = Literal["learn", "drop", "mask"]

_strict = ConfigDict(strict=True, extra="forbid", defer_build=True)


@dataclass(frozen=True, config=_strict)
class ModelConfig:
    """The frozen base. `path`: a hub name, a folder or a built-in model; null only where an adapter names it.

    `template_args`: for its chat template. Presets need not say it: null is what the adapter was trained with, and
    none in training.
    """

    path: Text | None
    revision: Text | None
    template_args: dict[str, Any] | None = None


@dataclass(frozen=True, config=_strict)
class LoraConfig:
    """`scale` is what the low-rank branch is multiplied by; `alpha` is the other way to say it: scale * rank.

    `rank_scaling`: rslora, alpha is scale * √rank. `b_rate`: the learning rate of B over that of A.
    """

    fine_tune_type: Literal["lora", "dora"]
    rank: Annotated[int, Field(ge=1, le=4096)]
    scale: Positive | None
    alpha: Positive | None
    rank_scaling: Literal["lora", "rslora"]
    b_rate: Positive | None
    dropout: Share
    num_layers: Annotated[int, Field(ge=-1)]
    keys: Annotated[list[Text], Field(min_length=1)] | None


@dataclass(frozen=True, config=_strict)
class DataConfig:
    """`path`: a folder with train.jsonl, valid.jsonl and, if there is one, test.jsonl.

    `thinking`: what is made of what the rows think before they answer; presets need not say it.
    """

    path: Text
    labels: Annotated[list[Text], Field(min_length=1)] | None
    system: Text | None
    thinking: Thinking = "learn"


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="ignore", defer_build=True))
class SystemConfig:
    """What a command that reads no lines uses of a data group; what else the group's presets hold is left aside.

    `recorded`: where no system prompt is given, the one of the adapter's run.
    """

    system: Text | None
    recorded: bool = False


@dataclass(frozen=True, config=_strict)
class TrainConfig:
    """Counts of `iters`, `steps_per_*` and `save_every` are optimizer updates, not micro-batches.

    `neftune_alpha`: of the noise on what enters the first block. `memory_limit_gb`, `cache_limit_gb`: MLX's limits.
    """

    iters: Annotated[int, Field(ge=0)] | None
    epochs: Positive | None
    batch_size: Count
    grad_accumulation_steps: Count
    max_seq_length: Annotated[int, Field(ge=2)]
    mask_prompt: bool
    optimizer: Literal["adam", "adamw", "adafactor", "muon", "sgd"]
    optimizer_args: dict[str, Any]
    learning_rate: Positive
    learning_rate_end: Annotated[float, Field(ge=0)]
    lr_schedule: Literal["constant", "linear", "cosine"]
    warmup: Annotated[float, Field(ge=0)]
    max_grad_norm: Positive | None
    neftune_alpha: Positive | None
    grad_checkpoint: bool
    trunk_cache: Literal["auto", False]
    trunk_cache_gb: Positive
    head_on_targets: bool
    head_in_chunks: bool
    last_block_on_targets: bool
    dequantize_tail: bool
    chunked_recurrence: bool
    memory_limit_gb: Positive | None
    cache_limit_gb: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    steps_per_report: Count
    steps_per_eval: Count
    save_every: Count
    valid_rows: Count | None
    keep: Literal["all"] | Count
    patience: Count | None
    seed: Seed
    test: bool
    resume: Literal[False, "auto"] | Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    init_adapter: Text | None


@dataclass(frozen=True, config=_strict)
class GenerateConfig:
    """`scale` multiplies the scale that the adapter was trained with: 1 as trained, 0 the bare base."""

    prompts: list[Text]
    max_tokens: Count
    temperature: Annotated[float, Field(ge=0, le=5)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    seed: Seed
    scale: Annotated[float, Field(ge=0, le=4)]
    batch_size: Count


@dataclass(frozen=True, config=_strict)
class PromptConfig:
    """What goes around a theme. `templates`: a text for each variant's name; `fields`: what {name} in them means."""

    templates: Annotated[dict[Text, Text], Field(min_length=1)]
    fields: dict[Text, str]


@dataclass(frozen=True, config=_strict)
class WritingPromptConfig:
    """A PromptConfig for a command that writes. `recorded`: besides what is given, what the adapter's run was told."""

    templates: dict[Text, Text]
    fields: dict[Text, str]
    recorded: bool = False


@dataclass(frozen=True, kw_only=True, config=_strict)
class EndpointConfig:
    """A model that is asked at `base_url` (null: OpenAI), or with `serve` by an mlx_lm.server that the harness starts.

    `key_env`: the environment variable with the key. `max_*`: of all calls together; `price_*`: of a million tokens.
    `template_args`: for the chat template of the model, where its endpoint takes such.
    """

    model: Text | None
    base_url: Annotated[str, Field(pattern="^https?://")] | None
    serve: bool
    key_env: Text | None
    max_calls: Count | None
    max_tokens: Count | None
    max_cost: Positive | None
    price_in: Annotated[float, Field(ge=0)]
    price_out: Annotated[float, Field(ge=0)]
    reply_tokens: Count
    temperature: Annotated[float, Field(ge=0, le=2)] | None
    concurrency: Count
    timeout_seconds: Positive
    retries: Annotated[int, Field(ge=0)]
    template_args: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, config=_strict)
class JudgeConfig(EndpointConfig):
    """`task`, `criteria`: the rubric; no criteria, no judge.

    `second_*`: another judge beside it; `panel`: any number of them. `block`: texts judged together. `controls`: texts
    that pairs with a known answer are made of. `scores`: each text also by each criterion. `teach`: whether decisions
    become examples, where that helps.
    `repeats`: calls that each judge of a ranking is asked anew.
    """

    task: str
    criteria: dict[Text, Text]
    second_model: Text | None
    second_base_url: Annotated[str, Field(pattern="^https?://")] | None
    second_key_env: Text | None
    panel: list[dict[Literal["model", "base_url", "key_env", "family"], Text | None]]
    block: Annotated[int, Field(ge=2, le=8)]
    anchors: Text | None
    anchors_per_theme: Annotated[int, Field(ge=1, le=5)]
    controls: Annotated[int, Field(ge=0)]
    scores: bool
    decisions: Text | None
    teach: Literal["auto", False]
    repeats: Annotated[int, Field(ge=0)]
    seed: Seed

    @property
    def wanted(self) -> bool:
        return bool(self.criteria)


@dataclass(frozen=True, config=_strict)
class TrackingConfig:
    """`uri`: null for the SQLite database in mlruns/, else any MLflow tracking URI."""

    uri: Text | None


@dataclass(frozen=True, config=_strict)
class SweepConfig:
    """How -m searches. `trials`: how many in all; null: every combination of the values given.

    `require`: conditions on what a run measures, by the names in MLflow; a trial that breaks one counts as failed.
    `stop_when`: no further trials once the last `stagnant_trials` brought no more than the noise.
    """

    trials: Count | None
    sampler: Literal["auto", "grid", "random", "tpe", "qmc", "cmaes"]
    pruner: Literal["none", "median", "halving", "hyperband", "wilcoxon", "patient", "threshold"]
    pruner_args: dict[str, Any]
    metric: Literal[
        "valid/best_loss",
        "test/loss",
        "judge/win_rate",
        "text/own_words",
        "text/memorised",
        "text/memorised_run",
        "text/loops",
        "text/refusals",
        "text/copied",
        "text/diversity_distinct",
    ]
    require: list[Text]
    constraints: list[Text]
    only_if: dict[str, Text]
    warm_start: Text | None
    stop_when: Literal["stagnant"] | None
    stagnant_trials: Count
    reuse: Literal["sweep", "store"]
    repeats: Annotated[int, Field(ge=0)]
    report: bool
    keep: Literal["all"] | Count
    hours: Positive | None
    trial_minutes: Positive | None
    disk_gb: Positive | None
    retries: Annotated[int, Field(ge=0)]
    workers: Annotated[int, Field(ge=0)]
    storage: Text | None
    seed: Seed


@dataclass(frozen=True, config=_strict)
class MemoryGate:
    """`texts`: to be written on generate.prompts, at least; `limit`: how much more of their runs of five units may
    stand in training texts than of held-out texts."""

    texts: Count
    limit: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=_strict)
class ExtractionGate:
    """`rows`: of the training split, and at most as many held-out ones beside them; `given`: tokens of an answer that
    the model is given after the prompt, `tokens`: that it goes on for.

    `reproduced`: the share of these by which the adapter must exceed the base for a row to count as extracted; `limit`:
    the share of such rows, less that among held-out ones. `minutes`: no further rows begin after them.
    """

    rows: Count
    given: Count
    tokens: Annotated[int, Field(ge=8)]
    reproduced: Annotated[float, Field(gt=0, le=1)]
    limit: Annotated[float, Field(ge=0, le=1)]
    minutes: Positive
    seed: Seed


@dataclass(frozen=True, config=_strict)
class ForgettingGate:
    """`limit`: nats a token that the loss on general text may rise by; `tokens`: of each of its texts, at most."""

    limit: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    tokens: Annotated[int, Field(ge=16)]


@dataclass(frozen=True, config=_strict)
class AgreementGate:
    """`limit`: nats a token by which the mean loss of `rows` validation rows may change once the adapter is fused."""

    limit: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    rows: Count


@dataclass(frozen=True, config=_strict)
class GateConfig:
    """What a version must be before an alias points at it: better than the champion, and each check.

    What is compared is the loss, or where the judge decides the win rate. `threshold`: of that, a loss at most, a win
    rate at least. `min_absolute_change`: what it must be better by, `min_relative_change`: as a share of the
    champion's; `min_sigma`: so many standard errors must lie above zero.
    """

    threshold: Annotated[float, Field(allow_inf_nan=False)] | None
    min_absolute_change: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    min_relative_change: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    min_sigma: Annotated[float, Field(ge=0, le=10)]
    memory: MemoryGate
    extraction: ExtractionGate
    forgetting: ForgettingGate
    agreement: AgreementGate


@dataclass(frozen=True, config=_strict)
class PromoteCommand:
    """What of harness.promote are settings; the rest are options."""

    gate: GateConfig


@dataclass(frozen=True, config=_strict)
class SourceConfig:
    """What every source has. What a kind has besides is in its module's Settings.

    `path`: a file or a folder, None where a kind needs none; `out`: another name of data.path. `valid`, `test`: shares
    of the groups. `max_bad`: the share of bad rows that stops the command. `similarity`: from which on (1: the same)
    two rows are near duplicates.
    """

    kind: Text
    path: Text | None
    out: Text | None
    valid: Share
    test: Share
    seed: Seed
    max_bad: Annotated[float, Field(ge=0, le=1)]
    too_long: Literal["cut", "split", "drop"]
    near_duplicates: Literal["group", "drop", "off"]
    similarity: Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, config=_strict)
class Config:
    """One training run."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    model: ModelConfig
    lora: LoraConfig
    data: DataConfig
    train: TrainConfig
    generate: GenerateConfig
    prompt: PromptConfig
    judge: JudgeConfig
    tracking: TrackingConfig
    sweep: SweepConfig


@dataclass(frozen=True, config=_strict)
class GenerateCommand:
    """`adapters`: folders, checkpoint files, runs:/<id>, sweeps:/<id>, models:/name@alias; null or none: the bare base.

    `from_iteration`, `first`: of folders and runs not the best checkpoint, but those from this update on, the first so
    many; `top`: how many of a sweep's trials.
    """

    adapters: list[Text | None] | Text | None
    from_iteration: Annotated[int, Field(ge=0)] | None
    first: Count | None
    top: Count
    theme: str | int | float | None
    themes: Text | None
    variants: list[Text] | Text
    n: Count
    out: Text | None
    model: ModelConfig
    data: SystemConfig
    generate: GenerateConfig
    prompt: WritingPromptConfig
    tracking: TrackingConfig


@dataclass(frozen=True, config=_strict)
class CompareCommand(GenerateCommand):
    """`scales`: each adapter at each of these times its scale; null: at generate.scale. `out`: an HTML page."""

    scales: Annotated[list[Annotated[float, Field(ge=0, le=4)]], Field(min_length=1)] | None


@dataclass(frozen=True, config=_strict)
class JudgeCommand:
    """`samples`: what harness.generate wrote; `out`: a .json file; `name`: the MLflow experiment."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    samples: Text
    out: Text | None
    data: DataConfig
    judge: JudgeConfig
    tracking: TrackingConfig


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="ignore", defer_build=True))
class TrainedOn:
    """What of a run's training concerns its lines; what else the group's presets hold is left aside."""

    batch_size: Count
    grad_accumulation_steps: Count
    max_seq_length: Annotated[int, Field(ge=2)]
    mask_prompt: bool


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="ignore", defer_build=True))
class RankConfig:
    rank: Annotated[int, Field(ge=1, le=4096)]


@dataclass(frozen=True, config=_strict)
class PrepareCommand:
    """`source`: SourceConfig, and the Settings of its kind. `data.path`: the output. `model`: whose tokens are counted.

    `replace`: an output that is there and differs gives way. `show`: so many rows as the model will see them; where
    source=none, of the folder data.path.
    """

    source: dict[Text, Any]
    replace: bool
    show: Annotated[int, Field(ge=0)]
    model: ModelConfig
    lora: RankConfig
    data: DataConfig
    train: TrainedOn
    tracking: TrackingConfig
