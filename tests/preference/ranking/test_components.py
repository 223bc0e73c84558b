import numpy as np

from roi_ray.preference.ranking.components import number_blocks, number_groups_of_names


def wins(n, *pairs):
    table = np.zeros((n, n))
    for winner, loser in pairs:
        table[winner, loser] += 1
    return table


def test_groups_are_numbered_by_their_answers() -> None:
    table = wins(5, (0, 1), (2, 3), (3, 4), (2, 4))
    assert number_groups_of_names(table).tolist() == [1, 1, 0, 0, 0]


def test_names_in_a_circle_of_wins_are_one_block() -> None:
    assert number_blocks(wins(3, (0, 1), (1, 2), (2, 0))).tolist() == [0, 0, 0]


def test_blocks_follow_the_wins_between_them() -> None:
    # 3 beats the circle of 0, 1 and 2, which beats 4; 5 beats 4 too, and met no other.
    table = wins(6, (0, 1), (1, 2), (2, 0), (3, 1), (2, 4), (5, 4))
    blocks = number_blocks(table)
    assert blocks[0] == blocks[1] == blocks[2]
    assert blocks[3] < blocks[0] < blocks[4]
    assert blocks[5] < blocks[4]
    assert sorted(set(blocks.tolist())) == [0, 1, 2, 3]
