"""Cross-entropy over exactly the tokens to be learned."""

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from harness.tuning.cut import Tail


def loss_sum(
    tail: Tail,
    tokens: mx.array,
    learn: mx.array,
    chosen: mx.array | None = None,
    places: mx.array | None = None,
    hidden: mx.array | None = None,
    lengths: mx.array | None = None,
    weights: mx.array | None = None,
) -> tuple[mx.array, mx.array]:
    """Sum of the loss over learned tokens in nats, and their number. The arguments are those of a Batch.

    With weights a token counts, in both, as often as its row's weight says.
    """
    targets, count = tokens[:, 1:], learn.sum()
    counted = count if weights is None else (learn.sum(axis=1) * weights).sum()
    if chosen is None or places is None:
        share = learn if weights is None else learn * weights[:, None]
        losses = nn.losses.cross_entropy(tail(tokens[:, :-1], hidden, lengths), targets) * share
        return losses.astype(mx.float32).sum(), counted
    last = tail.last_hidden(tokens[:, :-1], hidden, chosen, places, lengths)
    targets, real = targets.reshape(1, -1)[:, chosen], mx.arange(chosen.size) < count
    if weights is not None:
        real = real * weights[chosen // learn.shape[1]]
    if tail.chunk is None or chosen.size <= tail.chunk:
        return _of_head(tail, last, targets, real), counted
    return _in_chunks(tail, last, targets, real, tail.chunk), counted


def row_losses(
    tail: Tail,
    tokens: mx.array,
    learn: mx.array,
    chosen: mx.array | None = None,
    places: mx.array | None = None,
    hidden: mx.array | None = None,
) -> tuple[mx.array, mx.array, mx.array]:
    """The same sum, without a gradient; and that of each row with the number of its learned tokens, [rows]."""
    targets, counts = tokens[:, 1:], learn.sum(axis=1)
    if chosen is None or places is None:
        losses = nn.losses.cross_entropy(tail(tokens[:, :-1], hidden), targets) * learn
        losses = losses.astype(mx.float32)
        return losses.sum(), losses.sum(axis=1), counts
    last = tail.last_hidden(tokens[:, :-1], hidden, chosen, places)
    targets, real = targets.reshape(1, -1)[:, chosen], mx.arange(chosen.size) < counts.sum()
    total, by_row = mx.zeros(()), mx.zeros(len(learn))
    size = tail.chunk or chosen.size
    for start in range(0, chosen.size, size):
        part = slice(start, start + size)
        # one after the other, else all logits would be there at once
        chunk = mx.depends(last[:, part], [total]) if start else last[:, part]
        losses = _losses_of_head(tail, chunk, targets[:, part], real[part])
        total, by_row = total + losses.sum(), by_row.at[chosen[part] // learn.shape[1]].add(losses[0])
    return total, by_row, counts


def _of_head(tail: Tail, last: mx.array, targets: mx.array, real: mx.array) -> mx.array:
    return _losses_of_head(tail, last, targets, real).sum()


def _losses_of_head(tail: Tail, last: mx.array, targets: mx.array, real: mx.array) -> mx.array:
    """[1, count], in float32."""
    logits = tail.head(last)
    if mx.default_device() == mx.cpu:  # Metal and CUDA sum up in float32 without a copy, the CPU does not
        logits = logits.astype(mx.float32)
    losses = mx.fast.cross_entropy(logits, targets) * real
    return losses.astype(mx.float32)


def _in_chunks(tail: Tail, last: mx.array, targets: mx.array, real: mx.array, size: int) -> mx.array:
    """The same with the logits of `size` positions at a time, forward and backward, so that few are ever there.

    The head is frozen, so a chunk's gradient is computed together with its loss, and nothing twice.
    """
    together = mx.value_and_grad(lambda x, *rest: _of_head(tail, x, *rest))

    def forward(last: mx.array) -> tuple[mx.array, mx.array]:
        total = mx.zeros(())
        gradients: list[mx.array] = []
        for start in range(0, last.shape[1], size):
            part = slice(start, start + size)
            chunk = last[:, part]
            if start:  # one after the other, else all logits would be there at once
                chunk = mx.depends(chunk, [total, gradients[-1]] if tail.model.training else [total])
            loss, gradient = together(chunk, targets[:, part], real[part])
            total = total + loss
            gradients.append(gradient)
        return total, mx.concatenate(gradients, axis=1)

    def backward(primal: mx.array, cotangents: Any, outputs: Any) -> mx.array:
        return outputs[1] * cotangents[0].astype(outputs[1].dtype)

    function: Any = mx.custom_function(forward)
    function.vjp(backward)
    total, _ = function(last)
    return total
