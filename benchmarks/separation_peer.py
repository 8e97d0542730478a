"""Asteroid's Conv-TasNet with random weights on a wav, for recordings.py: `separation_peer.py WAV NUM_SPK OUT`.

Runs in an environment of its own, without wesep_mix: chunks of 10 s that overlap by half, as Asteroid's own
`LambdaOverlapAdd` does it, and a wav of each talker.
"""

import sys
from pathlib import Path

import soundfile
import torch
from asteroid.dsp.overlap_add import LambdaOverlapAdd
from asteroid.models import ConvTasNet


def main() -> None:
    path, num_spk, out = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    out.mkdir(exist_ok=True)
    wav, rate = soundfile.read(path, dtype="float32")
    torch.manual_seed(0)
    model = ConvTasNet(n_src=num_spk, sample_rate=rate).eval()
    whole = LambdaOverlapAdd(model, n_src=num_spk, window_size=10 * rate)
    with torch.inference_mode():
        found = whole(torch.from_numpy(wav)[None, None])[0]
    for number, speech in enumerate(found, start=1):
        soundfile.write(out / f"peer-{number}.wav", speech.numpy() / max(1.0, float(speech.abs().max())), rate)


if __name__ == "__main__":
    main()
