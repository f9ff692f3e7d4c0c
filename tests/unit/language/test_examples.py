import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.arms import Arm, load_menu
from rapport.language.examples import Example, LoggedReply, choose
from rapport.language.prompts import Message

MENU = load_menu()
QUESTION, REFLECTION = MENU["question"], MENU["reflection"]


def a_logged_reply(
    name: str,
    *,
    reward: float = 1.0,
    arm: Arm | None = QUESTION,
    persona: str = "wry-03",
    reply: str = "And then?",
) -> LoggedReply:
    return LoggedReply(
        decision_id=name,
        reward=reward,
        example=Example(
            messages=[Message(role="user", content=name)],
            reply=reply,
            arm=arm,
            persona=persona,
            user="u",
        ),
    )


def names(examples: list[Example]) -> set[str]:
    return {example.messages[0]["content"] for example in examples}


def test_replies_above_their_personas_median_are_chosen():
    logged = [
        *(a_logged_reply(f"wry-{r}", reward=r) for r in (1, 2, 3, 4)),
        *(a_logged_reply(f"shy-{r}", reward=r, persona="shy-01") for r in (-4, -3, -2)),
    ]

    chosen = choose(logged, per_persona=10, seed=0)

    assert {persona: names(examples) for persona, examples in chosen.items()} == {
        "wry-03": {"wry-3", "wry-4"},
        "shy-01": {"shy--2"},
    }


def test_arms_get_equal_shares_and_a_rare_arm_gives_all_it_has():
    bad = [a_logged_reply(f"bad-{i}", reward=0) for i in range(20)]
    common = [a_logged_reply(f"q-{i}") for i in range(15)]
    rare = [a_logged_reply(f"r-{i}", arm=REFLECTION) for i in range(2)]

    chosen = choose([*bad, *common, *rare], per_persona=6, seed=0)["wry-03"]

    arms = [example.arm.name for example in chosen if example.arm]
    assert (arms.count("question"), arms.count("reflection")) == (4, 2)
    assert sorted(arms[:4]) == ["question", "question", "reflection", "reflection"]


def test_what_an_adapter_must_not_learn_is_left_out():
    logged = [
        a_logged_reply("control", arm=None),
        a_logged_reply("empty", reply="  "),
        a_logged_reply("claims a past of its own", arm=MENU["self_disclosure"]),
    ]

    assert choose(logged, per_persona=5, seed=0) == {}


def test_equal_rewards_leave_nothing_to_choose_by():
    logged = [a_logged_reply(str(i), reward=0.5) for i in range(4)]

    assert len(choose(logged, per_persona=10, seed=0)["wry-03"]) == 4


@given(order=st.permutations(range(12)), seed=st.integers(0, 5))
def test_the_order_of_the_log_does_not_matter(order, seed):
    logged = [
        a_logged_reply(f"{i:02}", reward=i % 5, arm=(QUESTION, REFLECTION)[i % 2]) for i in order
    ]

    assert choose(logged, per_persona=3, seed=seed) == choose(
        sorted(logged, key=lambda each: each.decision_id), per_persona=3, seed=seed
    )


def test_another_seed_draws_other_examples():
    logged = [a_logged_reply(str(i), reward=float(i > 30)) for i in range(100)]

    drawn = [names(choose(logged, per_persona=5, seed=seed)["wry-03"]) for seed in range(3)]

    assert drawn[0] != drawn[1] or drawn[1] != drawn[2]


def test_no_log_gives_no_examples():
    assert choose([], per_persona=5, seed=0) == {}


@pytest.mark.parametrize("n", [1, 3])
def test_every_prefix_is_as_balanced_as_can_be(n):
    arms = [QUESTION, REFLECTION, MENU["suggestion"]]
    logged = [a_logged_reply(f"{i}", arm=arms[i % 3], reward=float(i > 20)) for i in range(60)]

    chosen = choose(logged, per_persona=3 * n, seed=1)["wry-03"]

    assert all([e.arm for e in chosen].count(arm) == n for arm in arms)
