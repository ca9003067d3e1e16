"""What the harness does with each architecture that mlx-lm has, tried on a tiny random model of it.

`make architectures` writes docs/architectures.md; `python -m tools.architectures --only NAME` tries one.
tiny: the models. checks: what is tried. processes: each in a process of its own. table: the page.
"""
