"""What can be said of texts without a judge: rhythm, the author's words, novelty, memory, loops.

Knows characters and words. Does not know who wrote what.
Others use: measures.measure, measures.diversity, corpus.Corpus.
"""
