import pytest

from wesep_mix.errors import UserError
from wesep_mix.weights import read_weights


@pytest.mark.parametrize("text", ["hello\n", "", "model: 1\n", "(lp0\n", "t.", "I12a\n.", "Gabc", "\u00fcber"])
def test_a_text_is_no_model_file(tmp_path, text):
    path = tmp_path / "model.pt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="model.pt: not a readable model file") as err:
        read_weights(path)
    assert "\n" not in str(err.value)
