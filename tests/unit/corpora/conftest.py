import numpy as np
import pytest

from wesep_mix.io.audio import write_audio


@pytest.fixture
def speech_folder(tmp_path):
    """Two subsets in LibriSpeech layout: six speakers, two utterances each, 1 s of noise for speech."""
    root, rng = tmp_path / "corpora" / "LibriSpeech", np.random.default_rng(0)
    lines = ["; comment", ";ID  |SEX| SUBSET"]
    for subset, speakers in (("train-clean-100", (11, 12, 13, 14)), ("dev-clean", (21, 22))):
        for speaker in speakers:
            lines.append(f"{speaker}  | {'FM'[speaker % 2]} | {subset} | 25.0 | Some One")
            for number in range(2):
                name = f"{speaker}-7-{number:04d}.flac"
                samples = 0.1 * rng.standard_normal(16000).clip(-5, 5)
                write_audio(root / subset / str(speaker) / "7" / name, samples.astype(np.float32))
    (root / "SPEAKERS.TXT").write_text("\n".join(lines) + "\n")
    return root
