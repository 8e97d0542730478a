from wesep_mix.corpora.synthesis.voices import ACCENTS, draw_voices, write_variants


def test_half_of_the_voices_are_of_each_sex_and_names_tell_the_set():
    voices = draw_voices("train", 9, seed=0)
    assert [voice.sex for voice in voices] == ["F"] * 5 + ["M"] * 4
    assert len({voice.name for voice in voices}) == 9
    assert all(voice.name.startswith("train-") for voice in voices)
    assert all(len(voice.espeak_name) < 40 for voice in voices)  # espeak's limit


def test_voices_depend_on_seed_and_set_only():
    assert draw_voices("test", 6, seed=3) == draw_voices("test", 6, seed=3)
    assert {v.variant.split("\n", 3)[3] for v in draw_voices("test", 6, 3)}.isdisjoint(
        v.variant.split("\n", 3)[3] for name, seed in (("test", 4), ("dev", 3)) for v in draw_voices(name, 6, seed)
    )


def test_a_set_is_spread_over_pitch_accent_and_size():
    men = [voice for voice in draw_voices("test", 16, seed=0) if voice.sex == "M"]
    assert {voice.accent for voice in men} == set(ACCENTS)
    pitches = sorted(_value(voice.variant, "pitch") for voice in men)
    assert pitches[0] < 90 and pitches[-1] > 125
    assert max(v.playback for v in men) / min(v.playback for v in men) > 1.05


def test_variant_files_carry_the_voice_s_own_sound(tmp_path):
    voices = draw_voices("dev", 2, seed=0)
    write_variants(voices, tmp_path)
    text = (tmp_path / voices[0].name).read_text()
    assert text.startswith("language variant\n") and text == voices[0].variant
    for key in ("pitch", "formant 8", "breath", "roughness", "flutter", "tone"):
        assert f"\n{key} " in text


def _value(variant: str, key: str) -> float:
    return float(next(line.split()[1] for line in variant.splitlines() if line.startswith(key)))
