"""Cross-entropy over exactly the tokens to be learned."""

import mlx.core as mx
import mlx.nn as nn


def loss_sum(model: nn.Module, tokens: mx.array, learn: mx.array) -> tuple[mx.array, mx.array]:
    """Sum of the loss over learned tokens in nats, and their number.

    Args:
        tokens: int [rows, width + 1].
        learn: bool [rows, width].
    """
    logits = model(tokens[:, :-1])
    losses = nn.losses.cross_entropy(logits, tokens[:, 1:]) * learn
    return losses.astype(mx.float32).sum(), learn.sum()
