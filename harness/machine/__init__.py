"""The machine under a run: device and memory, the BLAS, a Mac's own tools, versions and checkout.

Does not know runs.
Others use: blas.load, device, provenance, mac.mac_advice.
"""
