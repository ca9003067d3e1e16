"""Raw material → training lines, a module a kind; a kind of one's own is conf/source/NAME.yaml and NAME.py beside it.

Each has `Settings` (a dataclass: what its YAML holds besides the settings of every source) and
`rows(path, settings, tools) -> Iterator[Found | Rejected]`; one that reads more than `path` has
`digests(path, settings) -> dict[str, str]` of all of it. Knows nothing of splits, files written or training.
Others use: found (what a source gives and gets), find.find_source.
"""
