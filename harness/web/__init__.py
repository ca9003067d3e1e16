"""What every server of the harness shares: its port, who may speak to it, how it begins and how it ends.

Knows HTTP and uvicorn. Does not know what is served.
Others use: guard.guarded, guard.Door, listening.listening, server.Server.
"""
