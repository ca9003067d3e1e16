"""A model in fewer bits, in another type or in full precision again: made, and measured against what it was made from.

Each is built beside its place and gets its name when it is whole and was loaded again. What mlx-lm does to weights is
models/quantize.py's business.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.config.schema import ModelConfig
from harness.console.progress import Display
from harness.data.dataset import Row
from harness.errors import HarnessError, WriteError
from harness.files.staging import check_place, staged
from harness.machine.device import begin_phase
from harness.models.base import Base, open_base
from harness.models.quantize import (
    DTYPES,
    Quantization,
    cast,
    check_quantization,
    dequantize,
    is_quantized,
    quantize,
    save_folder,
    weight_bytes,
)
from harness.releasing.converting.card import write_card
from harness.releasing.converting.figures import (
    Figures,
    caveat,
    known_of,
    measured,
    measured_on,
    rows_of_data,
    size_said,
    table,
)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked for. `ways`: a model each; empty: one that is not quantized. `data`: a folder with valid.jsonl to
    measure on; None: the general texts that are shipped.
    """

    model: str
    revision: str | None
    ways: Sequence[Quantization]
    dequantize: bool
    dtype: str | None
    out: Path | None
    data: Path | None

    @property
    def name(self) -> str:
        """To people: of a folder its own name, not where it lies."""
        local = Path(self.model).expanduser()
        return local.resolve().name if local.is_dir() else self.model

    @property
    def wanted(self) -> list[tuple[Quantization | None, Path]]:
        """Each with its folder: --out, with its bits added where several are wanted."""
        if self.out is not None and len(self.ways) < 2:
            return [(next(iter(self.ways), None), self.out)]
        stem = self.out or self.name.rstrip("/").replace(":", "/").rpartition("/")[2]
        if not self.ways:
            kind = "dequantized" if self.dequantize else self.dtype or "mlx"
            return [(None, Path(f"{stem}-{kind}"))]
        return [(way, Path(f"{stem}-{way.name}")) for way in self.ways]


@dataclass(frozen=True, kw_only=True)
class _Source:
    """What all are made from, and measured against on the same `rows`."""

    base: Base
    rows: Sequence[Row]
    figures: Figures


def convert(order: Order, display: Display) -> None:
    """Make and measure each, printing its figures as soon as it is done.

    Raises:
        HarnessError: for what cannot be, or is there already, before anything is computed.
    """
    for _, out in order.wanted:
        check_place(out, setting="--out")
    if order.dtype is not None and order.dtype not in DTYPES:
        raise HarnessError(f"--dtype must be one of {', '.join(DTYPES)}, but got {order.dtype}")
    base = open_base(ModelConfig(path=order.model, revision=order.revision), display, setting="MODEL")
    for line in base.warnings:
        display.say(f"warning: {line}")
    _check(order, base, display)
    source = _measured_source(order, base, display)
    width = max(len(name) for name in (order.name, *(out.name for _, out in order.wanted)))
    for cells in table(source.figures, []):
        _print(cells, width)
    for way, out in order.wanted:
        _print(table(source.figures, [_made(order, way, out, source, display)])[-1], width)
    print(measured_on(order.data, source.rows))
    if unknown := caveat(base, source.figures):
        print(unknown)
    for _, out in order.wanted:
        print(f"use it: model.path={out}")


def _measured_source(order: Order, base: Base, display: Display) -> _Source:
    rows = rows_of_data(order.data, base)
    figures = measured(base, order.name, rows, display)
    if order.data is None:
        rows, figures = known_of(base, rows, figures)
        base.let_go()
    return _Source(base=base, rows=rows, figures=figures)


def _print(cells: Sequence[str], width: int) -> None:
    name, *figures = cells
    columns = "".join(f"{cell:>14}" for cell in figures[:-1])
    print(f"{name:<{width}}{columns}  {figures[-1]}".rstrip(), flush=True)


def _check(order: Order, base: Base, display: Display) -> None:
    """All that can be said without computing."""
    if order.dequantize:
        if not is_quantized(base.model):
            raise HarnessError(f"--dequantize is for quantized models, but {order.model} is none; leave it out")
        dequantize(base.model, base.settings)
    elif not order.ways and is_quantized(base.model) and order.dtype is None:
        raise HarnessError(
            f"{order.model} is in MLX's format and quantized already; say what to make of it: --dequantize"
        )
    left = {way.group_size: check_quantization(base.model, way, name=order.model) for way in order.ways}
    for size, layers in left.items():
        if layers.layers:
            display.say(
                f"--group-size={size} does not divide {layers.said}: {layers.share:.0%} of the weights stay as they are"
            )
    base.let_go()


def _made(order: Order, way: Quantization | None, out: Path, source: _Source, display: Display) -> Figures:
    """One of those wanted, put in its place."""
    base = source.base
    with staged(out, setting="--out") as folder:
        display.say(f"writing {out}")
        settings = cast(base.model, base.settings, order.dtype)
        if order.dequantize:
            settings = dequantize(base.model, settings)
        if way is not None:
            settings = quantize(base.model, settings, way)
        _check_room(out, folder, weight_bytes(base.model))
        save_folder(folder, base.model, settings, source=base.folder, donate=True)
        base.let_go()
        begin_phase()
        made = Base(str(out), folder, revision="")
        _check_tokens(made, order.data, source.rows)
        figures = measured(made, out.name, source.rows, display)
        write_card(
            folder,
            title=out.name,
            base=order.name,
            on_hub=base.path == order.name and "/" in order.name,
            revision=base.revision,
            table=table(source.figures, [figures]),
            on=measured_on(order.data, source.rows),
        )
    return figures


def _check_room(out: Path, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WriteError(
            f"{out} takes {size_said(needed)}, but {size_said(free)} are free; make room, or choose another --out"
        )


def _check_tokens(made: Base, data: Path | None, rows: Sequence[Row]) -> None:
    """That the tokenizer reads as before mlx-lm saved it."""
    again = {row.line: row.tokens for row in rows_of_data(data, made)}
    if not all(row.line in again and np.array_equal(again[row.line], row.tokens) for row in rows):
        raise HarnessError(
            "once mlx-lm has saved it, the tokenizer reads otherwise than the model's own; "
            "convert with mlx_lm.convert, and copy the model's own tokenizer files over those that it writes"
        )
