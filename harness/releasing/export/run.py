"""The command's work: find what is meant, build it in a folder beside, prove it, put the card in, give it its name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.schema import TrackingConfig
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.files import write_text
from harness.files.staging import check_place, staged
from harness.machine.failures import watchdog_said
from harness.models.quantize import GROUP_SIZES, RECIPES
from harness.models.stock import AS_BASE, FULL, MIXED, NUMBERS, Bits, quantization_of
from harness.releasing.export.adapters import export_mlx, export_peft
from harness.releasing.export.card import CARD, card
from harness.releasing.export.fusing import export_fused
from harness.releasing.export.gguf import export_gguf
from harness.releasing.export.job import Exported, Job
from harness.releasing.export.lmstudio import export_lmstudio
from harness.releasing.export.ollama import export_ollama
from harness.releasing.export.subject import find_subject
from harness.releasing.export.target import Target
from harness.releasing.export.yardstick import Yardstick, asking_of

_EXPORTS: dict[Target, Callable[[Job], Exported]] = {
    Target.PEFT: export_peft,
    Target.FUSED: export_fused,
    Target.GGUF: export_gguf,
    Target.MLX: export_mlx,
    Target.OLLAMA: export_ollama,
    Target.LMSTUDIO: export_lmstudio,
}
_WITH_BITS = (Target.FUSED, Target.LMSTUDIO)


@dataclass(frozen=True, kw_only=True)
class Order:
    """`out`: None: a name in the working directory, after the adapter and the target. `bits`, `group_size`: None: as
    the base is. `prompts`: in the place of the run's."""

    reference: str
    target: Target
    out: Path | None = None
    bits: str | None = None
    group_size: int | None = None
    model: str | None = None
    prompts: Sequence[str] = ()


def export(order: Order, tracking: TrackingConfig, display: Display | None = None) -> Path:
    """The folder that is written.

    Raises:
        HarnessError: when there is nothing to export, the place is taken, or what was written is not the adapter.
    """
    display = display or Display()
    _check(order)
    if order.out is not None:
        check_place(order.out, setting="--out")
    subject = find_subject(order.reference, tracking, model=order.model, display=display)
    out = order.out or Path("-".join([subject.slug, order.target, *([order.bits] if order.bits else [])]))
    check_place(out, setting="--out")
    with watchdog_said(), staged(out, setting="--out") as folder:
        if subject.unread:
            display.say(f"{subject.unread}: measured on what there is")
        display.say(f"reading the weights of {subject.base.path}")
        subject.base.materialize()
        display.say("measuring the adapter on it")
        yardstick = Yardstick(subject, asking_of(subject, order.prompts))
        display.say(f"compared by the loss on {yardstick.on}, and by {len(yardstick.planned)} greedy texts")
        group_size = order.group_size or quantization_of(subject.base)[1]
        bits = Bits(how=order.bits or AS_BASE, group_size=group_size)
        job = Job(folder=folder, subject=subject, yardstick=yardstick, bits=bits, display=display)
        exported = _EXPORTS[order.target](job)
        write_text(exported.card_in / CARD, card(subject, exported, yardstick))
    print(f"{out}: {exported.what[0].lower()}{exported.what[1:]}")
    for line in exported.proof.lines:
        print(line)
    return out


def _check(order: Order) -> None:
    if not all(prompt.strip() for prompt in order.prompts):
        raise HarnessError("--prompt must not be empty; leave it out to ask what the run asked")
    if order.model == "":
        raise HarnessError("--model must not be empty; leave it out where the adapter says its base")
    known = (AS_BASE, FULL, MIXED, *NUMBERS, *RECIPES)
    if not (order.bits is None and order.group_size is None) and order.target not in _WITH_BITS:
        raise HarnessError(f"--bits and --group-size go with --to={' or '.join(_WITH_BITS)}, not with {order.target}")
    how = AS_BASE if order.bits is None else order.bits
    if how not in known:
        raise HarnessError(f"--bits must be one of {', '.join(known)}, but got {how}")
    if order.group_size is not None and how in (AS_BASE, FULL):
        raise HarnessError(f"--group-size={order.group_size} needs --bits, such as --bits=8")
    if order.group_size not in (None, *GROUP_SIZES):
        sizes = ", ".join(map(str, GROUP_SIZES))
        raise HarnessError(f"--group-size must be one of {sizes}, but got {order.group_size}")
