"""The machine under a run: device and memory, the BLAS, other processes, a Mac's own tools, versions and checkout.

Does not know runs.
Others use: blas.load, device, group.Group, launched, provenance, mac.mac_advice.
"""
