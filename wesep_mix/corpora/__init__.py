"""One file a corpus, with `Config` and `collect(config, work_dir, nj) -> Corpus` (types.py)."""
