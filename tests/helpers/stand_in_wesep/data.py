"""What the real dataset and file_utils do, in short: shards, embeddings, tables."""

import io
import tarfile

import kaldiio
import torch
import torchaudio


def read_label_file(path):
    with open(path) as file:
        return {words[0]: words[1] for words in map(str.split, file)}


def read_vec_scp_file(path):
    return {key: torch.from_numpy(vector.copy()) for key, vector in kaldiio.load_scp_sequential(path)}


def mixtures(list_file):
    """(key, mixture, sources, labels) of each mixture in the shards."""
    with open(list_file) as file:
        shards = file.read().split()
    for shard in shards:
        with tarfile.open(shard) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar}
        for key in [name.removesuffix(".spk1") for name in members if name.endswith(".spk1")]:
            wavs = [torchaudio.load(io.BytesIO(members[f"{key}{end}.wav"]))[0] for end in ("", "_spk1", "_spk2")]
            yield key, wavs[0], wavs[1:], [members[f"{key}.spk{number}"].decode() for number in (1, 2)]
