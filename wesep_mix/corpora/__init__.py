"""One file a corpus, with `Config` and `collect(config, work_dir, nj, max_bad) -> Corpus` (types.py).

A corpus of the user's may have `check_folders(config)`, asked before lists of other settings are removed.

The other modules read what corpora are made of (MUSAN, WHAM!, DNS-Challenge 5) or check it.
"""
