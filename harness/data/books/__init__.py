"""A plain-text book → its paragraphs of prose, and what else stands in it with the reason why it is left out.

Knows how books look on paper and in files: licences, page furniture, notes, headings, verse, wrapped lines. Does not
know files, settings of a source, or splits.
Others use: book.read_book, pieces (what it gives), chunks (whole paragraphs to a range of tokens, an even sample).
"""
