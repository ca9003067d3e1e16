"""Whether two computations of the same logits differ by no more than rounding. Knows no model."""

import mlx.core as mx

_OTHER = 0.05  # of the spread of logits, on average: a hundredth of it is rounding in 16 bits, a wrong mask a whole one


def alike(logits: mx.array, others: mx.array) -> bool:
    """Of each row by itself; logits [rows, tokens, vocabulary]."""
    one, other = logits.astype(mx.float32), others.astype(mx.float32)
    return bool((mx.abs(one - other).mean(axis=-1) / mx.std(other, axis=-1)).max().item() < _OTHER)
