"""Everything that a run starts from, checked before it begins."""

from dataclasses import dataclass, replace

from harness.config.checks import check_data, check_model, check_values
from harness.config.schema import Config
from harness.data.dataset import Split, fixed_subset
from harness.data.leakage import leakage_said
from harness.models.adapter import check_fits, spec_for, unevenly_adapted
from harness.models.adapter_files import AdapterFiles, AdapterSpec
from harness.models.base import Base
from harness.run.identity import Parts, parts_of
from harness.run.session import Session
from harness.run.wording import wording_said
from harness.tracking.references import find_adapter
from harness.tuning.recurrence import has_gated_delta


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """`init`: the adapter to start from; `parts`: what determines the weights (see identity.py)."""

    base: Base
    spec: AdapterSpec
    train: Split
    valid: Split
    test: Split | None
    init: AdapterFiles | None
    parts: Parts
    warnings: list[str]

    @property
    def splits(self) -> list[Split]:
        return [self.train, self.valid, *([self.test] if self.test else [])]


def gather_inputs(config: Config, session: Session) -> Inputs:
    """All checks, in the order of their cost: values, the base's settings, the data, the layers' names.

    Raises:
        HarnessError: for the first thing that cannot work.
    """
    warnings = check_values(config)
    base = session.base(config.model)
    warnings += base.warnings
    check_model(config, num_blocks=base.num_blocks)
    train_split, valid_split = session.split(config, "train"), session.split(config, "valid")
    test_split = session.split(config, "test") if config.train.test else None
    for split in (train_split, valid_split, *([test_split] if test_split else [])):
        warnings += split.warnings(config.train.max_seq_length)
    warnings += wording_said(config, train_split.path, base.tokenizer)
    warnings += leakage_said(train_split, [valid_split, *([test_split] if test_split else [])])
    valid_split = fixed_subset(valid_split, config.train.valid_rows)
    warnings += check_data(
        config,
        train_rows=len(train_split.rows),
        valid_rows=len(valid_split.rows),
        test_rows=None if test_split is None else len(test_split.rows),
    )
    spec = spec_for(config.lora, base.model, base=base.path, base_revision=base.revision)
    spec = replace(spec, template_args=dict(base.template_args))
    warnings += unevenly_adapted(config.lora, spec, base.model)
    init = None if config.train.init_adapter is None else find_adapter(config.train.init_adapter, lambda: session.store)
    if init is not None:
        warnings += check_fits(init, spec, base.model, former_revision=base.former_revision)
    weights = None if init is None else init.weights
    parts = parts_of(config, spec, train_split, weights, recurrent=has_gated_delta(base.model))
    for warning in warnings:
        session.warn_once(warning)
    return Inputs(
        base=base,
        spec=spec,
        train=train_split,
        valid=valid_split,
        test=test_split,
        init=init,
        parts=parts,
        warnings=warnings,
    )
