"""What is tried on a tiny model: each check runs the harness's own code, and compares with the whole model or mlx-lm.

A check answers how it went; an error that the harness explains is an answer too. Knows nothing of processes or pages.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import mlx.core as mx
import mlx_lm
from mlx.utils import tree_unflatten
from mlx_lm.generate import generate_step
from mlx_lm.utils import quantize_model, save

from harness.errors import HarnessError, reason
from harness.models.adapter import adapter_weights, attached, equal_weights, save_weights, spec_for
from harness.models.adapter_files import WEIGHTS_FILE, save_spec
from harness.sampling import engine as writing
from harness.sampling.choose import Choice, Chooser
from harness.sampling.decode import decode
from harness.tuning.engine import WHOLE_MODEL, Engine, disagreement, first_adapted, head_chunk, is_compilable
from harness.tuning.loop import Outcome as Trained
from harness.tuning.loop import train
from harness.tuning.state import load_state, save_state
from tools.architectures.case import NEW_TOKENS, Case, Keeping, Recording, opened

_ROUNDING = 1e-3  # of the spread of logits: what one row's differ by from batch to batch is a hundredth of it
Choose = Callable[[mx.array, mx.array], Choice]


class Grade(StrEnum):
    YES = "yes"
    WHOLE = "whole"  # it does not agree, so a run computes it whole
    NO = "no"  # said in a line
    FAULT = "fault"  # what no user should see
    UNTRIED = "–"


@dataclass(frozen=True)
class Outcome:
    grade: Grade
    why: str = ""


_FINE = Outcome(Grade.YES)


def trains(case: Case) -> Outcome:
    """The loss falls, and every adapted layer learns."""
    model = case.base.model
    with case.adapted():
        disagreement(model, Engine(on_targets=True), case.rows)  # as a run begins: it says what cannot be trained
    with attached(model, case.spec, seed=0):
        outcome = _falling(train(model, *case.splits, case.config.train, Keeping()))
        learned = {name: value.any().item() for name, value in adapter_weights(model).items() if "lora_b" in name}
    if outcome is not _FINE:
        return outcome
    if still := sorted({_within_block(name) for name, moved in learned.items() if not moved}):
        return Outcome(Grade.YES, f"nothing is learned by {', '.join(still)}")
    return _FINE if is_compilable(model, case.rows) else Outcome(Grade.YES, "steps are not compiled")


def cut(case: Case) -> Outcome:
    return _agreeing(case, Engine(first_adapted(case.base.model, case.spec)))


def head(case: Case) -> Outcome:
    return _agreeing(case, Engine(0, True, False, head_chunk(case.base.vocabulary)))


def last_block(case: Case) -> Outcome:
    return _agreeing(case, Engine(0, True, True))


def writes(case: Case) -> Outcome:
    """With an adapter on: texts in batches are mlx-lm's, and so are logits, whoever is in the batch.

    A token that ends one text in the middle lets another prompt join the batch there.
    """
    said: list[str] = []
    with case.adapted():
        with _by_mlx_lm("write with it"):
            stock = _stock(case)
        end = stock[case.requests[0].seed][1]
        alone, together = Recording(), Recording()
        _written(case, alone, {end}, rows=1)
        _written(case, together, {end}, rows=3, tell=said.append)
        worst = max(_difference(logits, together.logits[key]) for key, logits in alone.logits.items())
        ours = _written(case, Chooser(0.0, 1.0), {end}, rows=3, settle=True)
    if ours != {seed: tokens[: [*tokens, end].index(end)] for seed, tokens in stock.items()}:
        return Outcome(Grade.FAULT, "texts in batches are not those that mlx-lm writes one by one")
    if together.most < 2:
        return Outcome(Grade.WHOLE, said[0])
    return _FINE if worst < _ROUNDING else Outcome(Grade.YES, f"logits vary by {worst:.2g} of their spread")


def resumes(case: Case) -> Outcome:
    """Stopped after half of the updates and taken up again from the file: the same bytes as without a stop."""
    model = case.base.model
    spec = dataclasses.replace(case.spec, dropout=0.1)
    with attached(model, spec, seed=0):
        at = first_adapted(model, spec)
        agrees = disagreement(model, Engine(at, on_targets=True), case.rows) is None
        engine = Engine(at, on_targets=True, hidden=case.hidden(at)) if agrees else WHOLE_MODEL
        kept = Keeping()
        train(model, *case.splits, case.config.train, kept, engine=engine)
        whole = {name: mx.array(value) for name, value in adapter_weights(model).items()}
    file = case.folder / "state.safetensors"
    save_state(file, kept.states[case.config.train.save_every])
    with attached(model, spec, seed=1):
        train(model, *case.splits, case.config.train, Keeping(), engine=engine, resume=load_state(file))
        if equal_weights(adapter_weights(model), whole):
            return _FINE
    return Outcome(Grade.FAULT, "a resumed run ends with other weights")


def fuses(case: Case) -> Outcome:
    """mlx-lm loads the adapter, fuses it, and what it saves is a base here: the same logits all the way."""
    adapter, fused = case.folder / "adapter", case.folder / "fused"
    adapter.mkdir()
    tokens = mx.array(case.rows[0].tokens)[None]
    with case.adapted():
        here = case.base.model(tokens)
        mx.eval(here)
        save_spec(adapter, case.spec)
        save_weights(adapter / WEIGHTS_FILE, adapter_weights(case.base.model), {})
    with _by_mlx_lm("take its adapter"):
        model, tokenizer, config = mlx_lm.load(str(case.base.folder), adapter_path=str(adapter), return_config=True)
    model.eval()
    if not (there := _difference(here, model(tokens))) < _ROUNDING:
        return Outcome(Grade.FAULT, f"mlx-lm's logits with the adapter differ by {there:.2g} of their spread")
    model.update_modules(tree_unflatten([(n, m.fuse()) for n, m in model.named_modules() if hasattr(m, "fuse")]))
    save(fused, case.base.folder, model, tokenizer, config)
    if not (there := _difference(here, opened(fused).model(tokens))) < _ROUNDING:
        return Outcome(Grade.FAULT, f"the fused model's logits differ by {there:.2g} of their spread")
    return _FINE


def four_bits(case: Case) -> Outcome:
    """What mlx-lm quantizes and saves is a base here: the loss falls, and what is left out agrees."""
    folder = case.folder / "four"
    model, tokenizer, config = mlx_lm.load(str(case.base.folder), return_config=True)
    with _by_mlx_lm("quantize it"):
        model, config = quantize_model(model, config, group_size=32, bits=4)
    save(folder, case.base.folder, model, tokenizer, config)
    base = opened(folder)
    spec = spec_for(case.config.lora, base.model, base=base.path, base_revision=base.revision)
    with attached(base.model, spec, seed=0):
        outcome = _falling(train(base.model, *case.splits, case.config.train, Keeping()))
        engine = Engine(first_adapted(base.model, spec), on_targets=True)
        differs = disagreement(base.model, engine, case.rows)
    if outcome is not _FINE or differs is None:
        return outcome
    return Outcome(Grade.WHOLE, differs)


CHECKS: dict[str, Callable[[Case], Outcome]] = {
    "trains": trains,
    "cut": cut,
    "head": head,
    "last block": last_block,
    "batches": writes,
    "resumes": resumes,
    "fuses": fuses,
    "4 bits": four_bits,
}


@contextmanager
def _by_mlx_lm(what: str) -> Iterator[None]:
    """What mlx-lm itself cannot do is no fault of the harness."""
    try:
        yield
    except Exception as error:  # whatever an architecture's own code raises
        raise HarnessError(f"mlx-lm cannot {what}: {reason(error)[:200]}") from error


def outcome_of(check: Callable[[Case], Outcome], case: Case) -> Outcome:
    """How it went; an error that the harness explains is an answer, any other a fault."""
    try:
        outcome = check(case)
    except HarnessError as error:
        outcome = Outcome(Grade.NO, str(error))
    except Exception as error:  # the table has a row for each
        outcome = Outcome(Grade.FAULT, f"it ends with {reason(error)}")
    return dataclasses.replace(outcome, why=outcome.why.replace(str(case.folder), "…"))


def _agreeing(case: Case, engine: Engine) -> Outcome:
    with case.adapted():
        differs = disagreement(case.base.model, engine, case.rows)
    return Outcome(Grade.WHOLE, differs) if differs else _FINE


def _falling(outcome: Trained) -> Outcome:
    start, last = outcome.start.loss, outcome.last.loss
    return _FINE if last < start else Outcome(Grade.FAULT, f"the loss goes from {start:.4f} to {last:.4f}")


def _written(
    case: Case,
    choose: Choose,
    end_ids: set[int],
    *,
    rows: int,
    settle: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[int, list[int]]:
    """The tokens of each request, by its seed."""
    requests, model = case.requests, case.base.model
    engine = writing.Engine(model, end_ids, chooses=lambda *_: choose, batch_size=rows, settle=settle, tell=tell)
    return {requests[index].seed: done.tokens for index, done in decode(engine, requests)}


def _stock(case: Case) -> dict[int, list[int]]:
    return {
        request.seed: [
            int(token) for token, _ in generate_step(mx.array(request.ids), case.base.model, max_tokens=NEW_TOKENS)
        ]
        for request in case.requests
    }


def _difference(one: mx.array, other: mx.array) -> float:
    """The largest, in standard deviations."""
    return float((mx.abs(one - other).max() / mx.std(one)).item())


def _within_block(name: str) -> str:
    return re.sub(r"^.*\.\d+\.", "", name).removesuffix(".lora_b")
