"""Prompts in, texts out: tokens drawn by row, many rows at a time, the same texts whatever the batch.

Knows MLX and the samples file. Does not know adapters by reference, judges or runs.
Others use: prompts.variants, write.write, samples.Sample, engine.Engine, request.Request (the server).
"""
