"""One file a corpus, with `Config` and `collect(config, work_dir, nj, max_bad) -> Corpus` (types.py).

The other modules read what corpora are made of (MUSAN, WHAM!, DNS-Challenge 5) or check it.
"""
