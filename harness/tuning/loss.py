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
) -> tuple[mx.array, mx.array]:
    """Sum of the loss over learned tokens in nats, and their number. The arguments are those of a Batch."""
    targets, count = tokens[:, 1:], learn.sum()
    if chosen is None or places is None:
        losses = nn.losses.cross_entropy(tail(tokens[:, :-1], hidden), targets) * learn
        return losses.astype(mx.float32).sum(), count
    last = tail.last_hidden(tokens[:, :-1], hidden, chosen, places)
    targets, real = targets.reshape(1, -1)[:, chosen], mx.arange(chosen.size) < count
    if tail.chunk is None or chosen.size <= tail.chunk:
        return _of_head(tail, last, targets, real), count
    return _in_chunks(tail, last, targets, real, tail.chunk), count


def _of_head(tail: Tail, last: mx.array, targets: mx.array, real: mx.array) -> mx.array:
    logits = tail.head(last)
    if mx.default_device() == mx.cpu:  # Metal and CUDA sum up in float32 without a copy, the CPU does not
        logits = logits.astype(mx.float32)
    losses = mx.fast.cross_entropy(logits, targets) * real
    return losses.astype(mx.float32).sum()


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
