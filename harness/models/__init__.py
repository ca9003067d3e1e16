"""The frozen base and the adapters on it."""
