"""Cross-entropy over exactly the tokens to be learned."""

import mlx.core as mx
import mlx.nn as nn

from harness.tuning.cut import Tail


def loss_sum(
    tail: Tail, tokens: mx.array, learn: mx.array, chosen: mx.array | None = None, hidden: mx.array | None = None
) -> tuple[mx.array, mx.array]:
    """Sum of the loss over learned tokens in nats, and their number. The arguments are those of a Batch."""
    logits = tail(tokens[:, :-1], hidden, chosen)
    targets, count = tokens[:, 1:], learn.sum()
    if chosen is None:
        losses = nn.losses.cross_entropy(logits, targets) * learn
    else:
        if mx.default_device() == mx.cpu:  # Metal and CUDA sum up in float32 without a copy, the CPU does not
            logits = logits.astype(mx.float32)
        losses = mx.fast.cross_entropy(logits, targets.reshape(1, -1)[:, chosen])
        losses = losses * (mx.arange(chosen.size) < count)
    return losses.astype(mx.float32).sum(), count
