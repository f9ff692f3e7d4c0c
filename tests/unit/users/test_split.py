import math

from rapport.users.split import part_of, users_in


def test_parts_are_disjoint_complete_and_of_the_stated_size():
    users = [f"user-{i}" for i in range(4000)]
    parts = {part: users_in(part, users) for part in ("train", "tune", "gate")}
    assert sum(map(len, parts.values())) == len(users)
    for part, share in (("train", 0.55), ("tune", 0.20), ("gate", 0.25)):
        stderr = math.sqrt(share * (1 - share) / len(users))
        assert abs(len(parts[part]) / len(users) - share) < 4 * stderr


def test_a_user_stays_in_his_part():
    assert {part_of("a") for _ in range(5)} == {part_of("a")}
