"""The real one's options and habits: a GPU and nccl, checkpoints of every epoch, links that it does not write over."""

import os
import re

import auraloss  # noqa: F401
import fire
import tableprint  # noqa: F401
import torch
import torch.distributed as dist
import yaml
from wesep.dataset.data import mixtures, read_label_file, read_vec_scp_file
from wesep.models import get_model


def link(folder, epoch, name):
    os.symlink(f"checkpoint_{epoch}.pt", os.path.join(folder, name))


def train(config="conf/config.yaml", **options):
    with open(config) as file:
        configs = dict(yaml.safe_load(file), **options)
    gpu = int(configs["gpus"][int(os.environ["RANK"])])
    torch.cuda.set_device(gpu)
    dist.init_process_group(backend="nccl")
    models = os.path.join(configs["exp_dir"], "models")
    os.makedirs(models, exist_ok=True)
    dist.barrier(device_ids=[gpu])
    torch.manual_seed(configs["seed"])
    model = get_model(configs["model"]["tse_model"])(**configs["model_args"]["tse_model"])
    model.cuda()
    parallel, device = torch.nn.parallel.DistributedDataParallel(model), torch.device("cuda")
    optimizer = getattr(torch.optim, configs["optimizer"]["tse_model"])(
        parallel.parameters(), **configs["optimizer_args"]["tse_model"]
    )
    first = 1
    if configs.get("checkpoint"):
        path = os.path.realpath(configs["checkpoint"])
        model.load_state_dict(torch.load(path)["models"][0])
        first = int(re.findall(r"(?<=checkpoint_)\d*(?=.pt)", path)[0]) + 1
    print(f"start_epoch: {first}")
    embeddings, speakers = read_vec_scp_file(configs["train_spk_embeds"]), read_label_file(configs["train_utt2spk"])
    of_speaker = {label: embeddings[key] for key, label in speakers.items()}
    assert read_label_file(configs["val_spk1_enroll"]) and read_label_file(configs["val_spk2utt"])
    for epoch in range(first, configs["num_epochs"] + 1):
        for _, mix, sources, labels in mixtures(configs["train_data"]):
            for source, label in zip(sources, labels, strict=True):
                outputs = parallel(mix.to(device), of_speaker[label][None].to(device))
                loss = (outputs[0] - source.to(device)).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        state = {"models": [model.state_dict()], "optimizers": [optimizer.state_dict()], "scaler": {}}
        torch.save(state, os.path.join(models, f"checkpoint_{epoch}.pt"))
        if os.path.islink(latest := os.path.join(models, "latest_checkpoint.pt")):
            os.remove(latest)
        link(models, epoch, "latest_checkpoint.pt")
        if os.environ.get("STAND_IN_STOPS_AFTER") == str(epoch):
            raise SystemExit(3)
    link(models, configs["num_epochs"], "final_checkpoint.pt")


if __name__ == "__main__":
    fire.Fire(train)
