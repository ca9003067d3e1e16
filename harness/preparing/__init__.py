"""From a source's rows to a folder that training reads: checked, near duplicates found, split, reported.

Knows the sources' interface, lines and rows of tokens. Does not know where raw material comes from, nor training.
Others use: pipeline.prepare_folder, show.show_folder.
"""
