def test_total():
    assert sum([3, 4]) == 7


def test_discount():
    assert sum([10, -1]) == 8, "the discount is lost"
