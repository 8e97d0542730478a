import sys

import numpy as np
import pytest
import soundfile
import torch
from places import ROOT

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_table, write_json
from wesep_mix.base.stage import STATE_FILE
from wesep_mix.bin import extract_speech
from wesep_mix.inference.extraction import extract_set, write_estimates
from wesep_mix.inference.settings import ExtractConfig
from wesep_mix.io.embeddings import write_embeddings
from wesep_mix.mixing.plan import speaker_keys, write_plans
from wesep_mix.models import checkpoint
from wesep_mix.models.extractors.stft_tcn import Config, Model


@pytest.fixture
def model(tmp_path):
    def make(fusion):
        path = tmp_path / f"{fusion}.pt"
        torch.manual_seed(0)
        config = Config(embedding_dim=3, fusion=fusion, channels=8, hidden=8, num_blocks=1, num_stacks=1)
        checkpoint.save_model(path, "extractors", Model(config))
        return path

    return make


def test_files_are_named_by_mixture_and_speaker(tmp_path, model, plans):
    embeddings = {key: np.ones(3, np.float32) for plan in plans for key in speaker_keys(plan)}
    extract_set(model("film"), plans, embeddings, tmp_path / "wav", "cpu")
    index = read_table(tmp_path / "wav" / "wav.scp")
    assert sorted(index) == sorted(embeddings)
    for plan in plans:
        assert {soundfile.info(index[key]).frames for key in speaker_keys(plan)} == {plan.num_samples}


def test_without_embedding_one_estimate_stands_for_all_talkers(tmp_path, model, plans):
    extract_set(model("none"), plans[:1], None, tmp_path / "wav", "cpu")
    one, other = (soundfile.read(tmp_path / "wav" / f"{key}.wav")[0] for key in speaker_keys(plans[0]))
    assert np.array_equal(one, other) and one.any()


def test_shares_of_processes_or_jobs_give_the_same_files(tmp_path, model, plans, monkeypatch):
    embeddings = {key: np.ones(3, np.float32) for plan in plans for key in speaker_keys(plan)}
    for name, nj in (("one", 1), ("two", 2), ("jobs", 2)):
        if name == "jobs":
            monkeypatch.setenv("WESEP_MIX_CMD", f"{sys.executable} {ROOT}/tools/run_local.py --max-jobs-run 1")
            monkeypatch.setenv("WESEP_MIX_JOBS", str(tmp_path / "work"))
            monkeypatch.setenv("PYTHONPATH", str(ROOT))
        extract_set(model("film"), plans, embeddings, tmp_path / name, "cpu", nj=nj)
    for key in embeddings:
        one, *others = ((tmp_path / name / f"{key}.wav").read_bytes() for name in ("one", "two", "jobs"))
        assert all(other == one for other in others)
    assert len(read_table(tmp_path / "jobs" / "wav.scp")) == len(embeddings)


def test_a_wav_that_no_share_has_made_is_named(tmp_path, model, plans, monkeypatch):
    embeddings = {key: np.ones(3, np.float32) for plan in plans for key in speaker_keys(plan)}
    monkeypatch.setattr("wesep_mix.inference.extraction._extract_plans", lambda *given: None)
    with pytest.raises(
        UserError, match=f"extracting .*: wanted 6 wavs, found 6 missing, such as .*{plans[0].id}-a.wav"
    ):
        extract_set(model("film"), plans, embeddings, tmp_path / "wav", "cpu")
    assert not (tmp_path / "wav" / "wav.scp").exists()


def test_files_that_are_there_are_kept_and_missing_ones_made(tmp_path, model, plans):
    embeddings = {key: np.ones(3, np.float32) for plan in plans for key in speaker_keys(plan)}
    extract_set(model("film"), plans, embeddings, tmp_path / "wav", "cpu")
    kept, lost = (tmp_path / "wav" / f"{speaker_keys(plan)[0]}.wav" for plan in plans[:2])
    stamp, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    extract_set(model("film"), plans, embeddings, tmp_path / "wav", "cpu")
    assert kept.stat().st_mtime_ns == stamp and lost.read_bytes() == content


def test_what_16_bit_would_clip_is_written_in_float_and_the_others_stay(tmp_path, plans):
    def loud_and_quiet(group):
        return [torch.stack([1.5 * torch.ones(plan.num_samples), 0.5 * torch.ones(plan.num_samples)]) for plan in group]

    write_estimates(plans[:1], loud_and_quiet, tmp_path / "wav", "PCM_16", "extracting")
    loud, quiet = (tmp_path / "wav" / f"{key}.wav" for key in speaker_keys(plans[0]))
    assert soundfile.info(loud).subtype == "FLOAT" and soundfile.info(quiet).subtype == "PCM_16"
    assert (soundfile.read(loud)[0] == 1.5).all() and (soundfile.read(quiet)[0] == 0.5).all()


def test_a_missing_embedding_is_named(tmp_path, model, plans):
    with pytest.raises(UserError, match=speaker_keys(plans[0])[0]):
        extract_set(model("film"), plans, {}, tmp_path / "wav", "cpu")


def test_an_embedding_that_is_not_finite_is_told_with_its_mixture(tmp_path, model, plans):
    embeddings = {key: np.ones(3, np.float32) for plan in plans for key in speaker_keys(plan)}
    embeddings[speaker_keys(plans[1])[1]][2] = np.nan
    with pytest.raises(UserError, match=f"^{plans[1].id}: stft_tcn: .*found NaN or infinity in embedding 1 "):
        extract_set(model("film"), plans, embeddings, tmp_path / "wav", "cpu")


def test_mixtures_of_several_lengths_are_extracted_in_chunks(tmp_path, model, mixture_of, monkeypatch):
    lengths, forward = [], Model.forward

    def noted(self, mix, emb, longer):
        lengths.append(mix.shape[1])
        return forward(self, mix, emb, longer)

    monkeypatch.setattr(Model, "forward", noted)
    plans = [mixture_of("a"), mixture_of("a", "b"), mixture_of("c", "d", "e")]
    assert len({plan.num_samples for plan in plans}) == 3
    embeddings = {key: np.ones(3, np.float32) for plan in plans for key in speaker_keys(plan)}
    extract_set(model("film"), plans, embeddings, tmp_path / "whole", "cpu", ExtractConfig("FLOAT"))
    assert lengths == [plan.num_samples for plan in plans]
    extract_set(model("film"), plans, embeddings, tmp_path / "chunks", "cpu", ExtractConfig("FLOAT", 1.0, 0.4))
    assert max(lengths[3:]) == 16000 and len(lengths[3:]) == 1 + 2 + 2
    for key in embeddings:
        whole, chunks = (soundfile.read(tmp_path / name / f"{key}.wav")[0] for name in ("whole", "chunks"))
        assert np.abs(whole - chunks).max() <= 1e-3 * whole.std(), key


def test_stage_6_is_done_anew_when_the_chunks_change(tmp_path, model, plans, capsys):
    exp, config = tmp_path / "exp", tmp_path / "extract.yaml"
    write_plans(tmp_path / "data" / "plan.jsonl", plans)
    write_embeddings(
        exp / "embeddings" / "matched", {key: np.ones(3, np.float32) for plan in plans for key in speaker_keys(plan)}
    )
    (exp / "net" / "matched").mkdir(parents=True)
    model("film").rename(exp / "net" / "matched" / "model.pt")
    for done in (tmp_path / "data", exp / "embeddings", exp / "net" / "matched"):
        write_json(done / STATE_FILE, {"done": True, "fingerprint": done.name})
    config.write_text("wav_subtype: FLOAT\n")
    arguments = [
        f"--config={config}",
        f"--data={tmp_path / 'data'}",
        f"--embeddings={exp / 'embeddings'}",
        f"--extractor={exp / 'net'}",
    ]
    wav = exp / "net" / "test" / "matched" / "wav" / f"{speaker_keys(plans[0])[0]}.wav"
    written = []
    for more in ([], ["--set=extract.chunk_s=0.5", "--set=extract.overlap_s=0.0"], ["--set=extract.chunk_s=0.5"]):
        ok = extract_speech.main([*arguments, *more]) == 0
        written.append(wav.read_bytes() if ok else capsys.readouterr().err)
    assert written[0] != written[1]
    assert "overlap_s: wanted 0 to half of chunk_s 0.5, found 1.0" in written[2]


def test_mixtures_of_one_length_go_through_together_and_give_the_same(tmp_path, model, mixture_of, monkeypatch):
    shapes, forward = [], Model.forward

    def noted(self, mix, emb, longer):
        shapes.append(tuple(mix.shape))
        return forward(self, mix, emb, longer)

    monkeypatch.setattr(Model, "forward", noted)
    plans = [mixture_of("a", "b"), mixture_of("c"), mixture_of("d", "e"), mixture_of("e", "f"), mixture_of("b")]
    pair, single = plans[0].num_samples, plans[1].num_samples
    random = np.random.default_rng(0)
    embeddings = {key: random.standard_normal(3).astype(np.float32) for plan in plans for key in speaker_keys(plan)}
    for fusion, given in ("film", embeddings), ("none", None):
        for size in (1, 2):
            extract_set(
                model(fusion),
                plans,
                given,
                tmp_path / fusion / str(size),
                "cpu",
                ExtractConfig("FLOAT", batch_size=size),
            )
        for key in embeddings:
            alone, together = (soundfile.read(tmp_path / fusion / size / f"{key}.wav")[0] for size in ("1", "2"))
            np.testing.assert_allclose(together, alone, atol=1e-6)
    assert shapes == [
        (1, single),
        (1, single),
        (2, pair),
        (2, pair),
        (2, pair),
        (2, single),
        (4, pair),
        (2, pair),
        (1, single),
        (1, single),
        (1, pair),
        (1, pair),
        (1, pair),
        (2, single),
        (2, pair),
        (1, pair),
    ]


def test_of_a_batch_the_one_at_fault_is_told(tmp_path, model, plans, mixture_of):
    plans = [mixture_of("a", "b"), mixture_of("c", "d"), mixture_of("e", "f")]
    embeddings = {key: np.ones(3, np.float32) for plan in plans for key in speaker_keys(plan)}
    embeddings[speaker_keys(plans[1])[0]][2] = np.nan
    with pytest.raises(UserError, match=f"^{plans[1].id}: stft_tcn: .*found NaN or infinity in embedding 0 "):
        extract_set(model("film"), plans, embeddings, tmp_path / "wav", "cpu", ExtractConfig(batch_size=3))
