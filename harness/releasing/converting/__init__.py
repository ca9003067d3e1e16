"""From a model to one in fewer bits, another type or full precision: made by mlx-lm, measured, put in its place.

Knows nothing of adapters; an adapter belongs to the model that it was trained on, of whatever bits.
"""
