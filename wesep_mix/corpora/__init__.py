"""One file a corpus: `Config` and `collect(config, work_dir, nj) -> Corpus` (types.py); no audio is decoded."""
