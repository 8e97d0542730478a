import pytest

from wesep_mix.metrics.extraction import is_extracted, is_wrong_talker


@pytest.mark.parametrize(
    ("improvement", "told"), [(12.0, True), (1.001, True), (1.0, False), (0.0, False), (-9.0, False)]
)
def test_what_improves_by_more_than_1_db_is_extracted(improvement, told):
    assert is_extracted(improvement) is told


@pytest.mark.parametrize(
    ("ratios", "target", "told"),
    [
        ([5.0, -12.0], 0, False),
        ([5.0, -12.0], 1, True),
        ([-8.0, -9.0, -7.9], 0, True),  # far from all, and nearest to the third
        ([3.0, 3.0], 1, False),  # another talker's is not above
        ([-20.0], 0, False),  # alone, it cannot be another's
    ],
)
def test_what_is_nearer_to_another_talker_is_the_wrong_talkers(ratios, target, told):
    assert is_wrong_talker(ratios, target) is told
