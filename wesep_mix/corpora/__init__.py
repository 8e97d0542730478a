"""One file a corpus, with `Config` and `collect(config, work_dir, nj, max_bad) -> Corpus` (sources.entries).

A corpus of the user's may have `check_folders(config)`, asked before lists of other settings are removed.
"""
