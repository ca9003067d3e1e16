"""Which parts of a step a run can leave out, with the reason where it cannot."""

from collections.abc import Sequence
from functools import partial

from harness.config.checks import total_updates
from harness.config.schema import Config
from harness.data.dataset import Row
from harness.models.base import Base
from harness.run.inputs import Inputs
from harness.run.session import Session
from harness.tuning.engine import (
    RECURRENT_ROW,
    Compare,
    Engine,
    checked_rows,
    disagreement,
    first_adapted,
    head_chunk,
    is_compilable,
    misfits,
)
from harness.tuning.hidden import HiddenRows, hidden_bytes
from harness.tuning.memory import ModelShape
from harness.tuning.recurrence import chunked_recurrence, has_gated_delta


def planned_cut(config: Config, inputs: Inputs, shape: ModelShape, *, free_disk: int) -> tuple[int, str]:
    """The block that a step can begin with, and why, when it is 0: the first. `free_disk`: bytes, for what is kept."""
    settings, rows = config.train, len(inputs.train.rows)
    if settings.trunk_cache is False:
        return 0, "train.trunk_cache=false"
    if settings.neftune_alpha is not None:
        return 0, f"train.neftune_alpha={settings.neftune_alpha:g} puts other noise on the embeddings each time"
    at = first_adapted(inputs.base.model, inputs.spec)
    if at == 0:
        return 0, "every block is adapted, or a layer outside the blocks"
    trained = total_updates(settings, rows) * settings.grad_accumulation_steps * settings.batch_size
    if trained < rows:
        return 0, "less than an epoch to train"
    need = sum(hidden_bytes(split.rows, shape.hidden, shape.item) for split in (inputs.train, inputs.valid))
    if need > settings.trunk_cache_gb * 1e9:
        limit = f"train.trunk_cache_gb={settings.trunk_cache_gb:g}"
        return 0, f"what the frozen blocks make of the rows would take {need / 1e9:.1f} GB, beyond {limit}"
    if 2 * need > free_disk:  # while it is computed there are two files
        what = "what the frozen blocks make of the rows"
        return 0, f"{what} needs {2 * need / 1e9:.1f} GB of disk, but {free_disk / 1e9:.1f} GB are free"
    return at, ""


def prepare_engine(
    config: Config, inputs: Inputs, cut: tuple[int, str], session: Session, compare: Compare = disagreement
) -> Engine:
    """Compare a step that leaves things out with one of the whole model, and compute what it begins with.

    The adapter must be attached. What does not agree is not left out. The comparison is made once for all runs of
    a session that adapt the same layers. Afterwards no weights below the cut are held.
    """
    at, why_not = cut
    base, display, settings = inputs.base, session.display, config.train
    on_targets = settings.head_on_targets
    chunk = head_chunk(base.vocabulary) if on_targets and settings.head_in_chunks else None
    # dropout would draw fewer numbers, and so others
    narrow = on_targets and settings.last_block_on_targets and config.lora.dropout == 0
    recurrent = has_gated_delta(base.model)
    chunked = recurrent and settings.chunked_recurrence
    rows = checked_rows(inputs.train.rows, RECURRENT_ROW if recurrent else None)
    differing = partial(_disagreement, inputs, session, compare, rows)
    if (at or on_targets or chunked) and differing(Engine(at, on_targets, narrow, chunk, chunked=chunked)):
        if chunked and (differs := differing(Engine(chunked=True))):
            chunked = False
            display.say(f"the recurrence is computed token by token: {differs}")
        if at and (differs := differing(Engine(at))):
            at, why_not = 0, f"this model cannot be cut, {differs}"
        if on_targets and (differs := differing(Engine(0, True, False, chunk))):
            on_targets, chunk = False, None
            display.say(f"the head is computed for all positions: {differs}")
        if narrow and (not on_targets or (differs := differing(Engine(0, True, True)))):
            narrow = False
            display.say(f"the last block is computed for all positions: {differs}")
        left = Engine(at, on_targets, narrow, chunk, chunked=chunked)
        if (at or on_targets or chunked) and (differs := differing(left)):  # each agrees alone, but not together
            at, on_targets, narrow, chunk, chunked, why_not = 0, False, False, None, False, differs
    if recurrent and not chunked:
        display.say(
            "warning: token by token, gated delta rules need several times the memory that was predicted; "
            "train.grad_checkpoint=true and a shorter train.max_seq_length need less"
        )
    compiled = is_compilable(base.model, rows)
    if not compiled:
        display.say("steps are not compiled: this model asks for values in the middle of one")
    if at == 0:
        display.say(f"all blocks are computed in every step: {why_not}")
        return Engine(0, on_targets, narrow, chunk, compiled=compiled, chunked=chunked)
    with chunked_recurrence(chunked):
        hidden = _trunks(inputs, at, session, "token by token" if recurrent and not chunked else "")
    session.trunks.keep_under(round(config.train.trunk_cache_gb * 1e9))
    display.say(f"steps begin at block {at} of {base.num_blocks}: what the frozen ones make of each row is kept")
    return Engine(at, on_targets, narrow, chunk, hidden, compiled, chunked)


def _trunks(inputs: Inputs, at: int, session: Session, way: str) -> dict[str, HiddenRows]:
    """What enters block `at`, by split. Two rows of what an earlier process kept are compared with the model."""
    base, splits = inputs.base, (inputs.train, inputs.valid)

    def read() -> dict[str, HiddenRows]:
        _release(base, at)
        get = partial(session.trunks.get, at=at, display=session.display, way=way, group=session.group)
        return {split.name: get(base, split) for split in splits}

    hidden = read()
    inherited = [split for split in splits if hidden[split.name].inherited]
    kept = [(row, hidden[split.name]) for split in inherited for row in checked_rows(split.rows)]
    found = misfits(base.model, at, kept, lambda: _release(base, at)) if kept else []
    for place, split in enumerate(inherited):
        here = next((said for said in found[2 * place : 2 * place + 2] if said), None)
        differs = next((said for said in session.group.gather(here) if said), None)
        if differs is None:
            session.trunks.accept(base, split, at, way)
            continue
        session.display.say(f"warning: what is kept of {split.path.name} does not fit this model, {differs}: made anew")
        session.trunks.forget(base, split, way)
    hidden = read()
    _release(base, 0)
    return hidden


def _release(base: Base, below: int) -> None:
    """Let go of the blocks below one, and of what is outside the blocks."""
    release = base.releaser()
    for block in range(-1, below):
        release(block)


def _disagreement(
    inputs: Inputs, session: Session, compare: Compare, rows: Sequence[Row], engine: Engine
) -> str | None:
    spec = inputs.spec
    left_out = (engine.at, engine.on_targets, engine.narrow, engine.chunk, engine.chunked)
    key = (inputs.base.revision, left_out, spec.fine_tune_type, tuple(spec.keys))
    if key not in session.disagreements:
        base = inputs.base

        def release() -> None:
            if engine.at:  # else a step needs all weights: they are read once, and stay
                _release(base, engine.at)

        found = session.group.gather(compare(base.model, engine, rows, release))
        session.disagreements[key] = next((differs for differs in found if differs), None)
    return session.disagreements[key]
