"""The real one's options and files: `KEY VALUE` for each metric; here SI-SNR alone, with the means removed."""

import argparse
import os

import mir_eval  # noqa: F401
import numpy as np
import soundfile


def table(path):
    with open(path) as file:
        return dict(line.split() for line in file)


def si_snr(ref, est):
    ref, est = ref - ref.mean(), est - est.mean()
    part = (ref @ est) / (ref @ ref) * ref
    return 20 * np.log10(np.linalg.norm(part) / np.linalg.norm(est - part))


def main():
    options = argparse.ArgumentParser()
    for name in ("key_file", "output_dir", "ref_scp", "inf_scp", "use_pesq"):
        options.add_argument(f"--{name}", required=True)
    args = options.parse_args()
    references, estimates = table(args.ref_scp), table(args.inf_scp)
    assert references.keys() == estimates.keys()
    os.makedirs(args.output_dir, exist_ok=True)
    with open(os.path.join(args.output_dir, "SI_SNR_spk1"), "w") as file:
        for key in table(args.key_file):
            score = si_snr(soundfile.read(references[key])[0], soundfile.read(estimates[key])[0])
            file.write(f"{key} {score}\n")


if __name__ == "__main__":
    main()
