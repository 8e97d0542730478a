"""One entry point a stage: `python -m wesep_mix.bin.NAME`, parse arguments, call the package, return a status."""
