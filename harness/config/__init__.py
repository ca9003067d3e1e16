"""What a run is: composed by Hydra, checked once, plain typed dataclasses from then on.

Knows names, ranges and rules between values, and what a sweep varies. Does not know how anything is carried out.
Others use: schema, load.from_hydra, vary.Varied, checks, axes.Space, read_axes.read_space, conditions, objective,
paths.
"""
