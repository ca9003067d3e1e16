"""Lines of text → rows of tokens and masks, each line with the place that an error can name.

Knows line formats, turns and splits; sources/ makes lines of raw material. Does not know models: a tokenizer is
handed in.
Others use: lines.read_lines, dataset.load_split, authored, themes, units, refusals.
"""
