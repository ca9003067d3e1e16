"""Raw material → training lines, a module a kind. Knows nothing of tokens or training."""
