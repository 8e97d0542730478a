"""The same computations in less time or memory on a CPU; every one is tested against the plain way."""
