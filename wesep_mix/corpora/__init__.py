"""One file a corpus, with a `Config` and `collect(config, work_dir, nj, max_bad) -> Corpus` (sources.entries).

A corpus that reads the user's folders may also have `check_folders(config)`, which is called before the lists of other
settings are removed.
"""
