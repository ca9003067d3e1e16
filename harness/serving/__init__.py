"""One resident base and its adapters as an OpenAI-compatible endpoint.

Knows HTTP, names of models, the registry's aliases, and texts as they come out of the engine. Does not know how a
token is computed (sampling), nor what may be put into use (releasing).
Others use: session.serve_models.
"""
