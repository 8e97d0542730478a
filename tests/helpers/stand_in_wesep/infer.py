"""The real one's options and habits: wavs at a level of their own, whose names hold mixture and label."""

import os

import fire
import soundfile
import torch
import yaml
from wesep.dataset.data import mixtures, read_label_file, read_vec_scp_file
from wesep.models import get_model


def infer(config="confs/conf.yaml", **options):
    with open(config) as file:
        configs = dict(yaml.safe_load(file), **options)
    torch.manual_seed(configs["seed"])
    assert configs["dataset_args"]["resample_rate"] == 16000
    device = torch.device(f"cuda:{configs['gpus']}") if configs["gpus"] >= 0 else torch.device("cpu")
    model = get_model(configs["model"]["tse_model"])(**configs["model_args"]["tse_model"])
    model.load_state_dict(torch.load(configs["checkpoint"])["models"][0])
    model = model.to(device).eval()
    audio, number = os.path.join(configs["exp_dir"], "audio"), 0
    os.makedirs(audio, exist_ok=True)
    embeddings = read_vec_scp_file(configs["test_spk_embeds"])
    keys = [read_label_file(configs[f"test_spk{place}_enroll"]) for place in (1, 2)]
    for key, mix, _, labels in mixtures(configs["test_data"]):
        for place, label in enumerate(labels):
            with torch.no_grad():
                output = model(mix.to(device), embeddings[keys[place][key]][None].to(device))[0][0]
            output = output / output.abs().max() * 0.9
            soundfile.write(os.path.join(audio, f"Utt{number + 1}-{key}-T{label}.wav"), output.cpu().numpy(), 16000)
        number += 2


if __name__ == "__main__":
    fire.Fire(infer)
