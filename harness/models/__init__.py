"""The frozen base, its tokenizer, and adapters on it or on disk, in mlx-lm's own formats.

Knows MLX and mlx-lm's loaders. Does not know data, training or tracking.
Others use: base.open_base, adapter (on a model), adapter_files, adapter_reading (on disk), tokenizer.Tokenizer,
weights_file, digests, tensors.
"""
