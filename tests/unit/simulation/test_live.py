import numpy as np
import pytest

from rapport.arms import load_menu
from rapport.simulation import Reaction, SimulatedUser, SimulationConfig, live_users, simulate

CONFIG = SimulationConfig(users=40, turns=6, seed=2)


def talk(user: SimulatedUser, reply: str, turns: int = 12) -> list[Reaction]:
    reactions: list[Reaction] = []
    while len(reactions) < turns:
        user.first_message()
        while len(reactions) < turns:
            reactions.append(user.react(reply))
            if reactions[-1].left:
                break
    return reactions


def reply_under(user: SimulatedUser, arm: str) -> str:
    return load_menu(user.agent_id)[arm].replies[0]


def test_the_same_replies_get_the_same_reactions():
    runs = [talk(SimulatedUser(1, 5, config=CONFIG), "You could try a walk.") for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0] != talk(SimulatedUser(1, 6, config=CONFIG), "You could try a walk.")


def test_a_reply_is_judged_by_its_words_not_by_anything_else():
    user = SimulatedUser(0, 1, config=CONFIG)
    user.first_message()
    arms = [arm.name for arm in load_menu(user.agent_id).served]
    worth = {arm: user.expected_reward(reply_under(user, arm)) for arm in arms}
    assert max(worth.values()) - min(worth.values()) > 0.2
    assert user.expected_reward("The weather in the north is mild.") == pytest.approx(0, abs=0.05)


def test_expecting_changes_nothing_and_reacting_gives_what_was_expected():
    user = SimulatedUser(2, 8, config=CONFIG)
    user.first_message()
    reply = "It sounds like this has been very hard for you."
    expected = user.expected_reward(reply)
    assert user.expected_reward(reply) == expected
    assert user.react(reply).satisfaction == expected


def test_saying_the_same_again_is_worth_less():
    user = SimulatedUser(0, 3, config=CONFIG)
    user.first_message()
    first = user.react("You have kept going through all of this, and that takes strength.")
    if first.left:
        user.first_message()
        user.react("You have kept going through all of this, and that takes strength.")
    again = user.expected_reward(
        "You have kept going through all of this, and that takes strength."
    )
    fresh = user.expected_reward("Real courage is what you showed here, you handled it well.")
    assert again < fresh


def test_a_reply_in_the_own_manner_is_worth_a_little_more():
    user = SimulatedUser(0, 4, config=CONFIG)
    user.first_message()
    plain = user.expected_reward("You could try a short walk.")
    assert plain < user.expected_reward("Ha, fair. You could try a short walk.") < plain + 0.1


def test_a_conversation_ends_without_a_message_and_silence_leaves_no_rating():
    reactions = talk(SimulatedUser(3, 2, config=CONFIG), "blah blah " * 30, turns=40)
    over = [reaction for reaction in reactions if reaction.left]
    assert over
    assert all(reaction.message is None for reaction in over)
    assert all(reaction.message for reaction in reactions if not reaction.left)
    silent = [reaction for reaction in reactions if reaction.silent]
    assert silent
    assert all(reaction.rating is None and reaction.left for reaction in silent)


def test_a_new_journey_may_have_another_agent_and_always_another_id():
    user = SimulatedUser(1, 9, config=CONFIG)
    seen = set()
    for _ in range(30):
        user.first_message()
        seen.add((user.journey_id, user.agent_id, user.topic))
    assert len({journey for journey, _, _ in seen}) == len(seen) > 10
    assert {agent for _, agent, _ in seen} == set(CONFIG.agents)


def test_users_of_a_log_come_back_with_their_own_name_mind_and_mood():
    log = simulate(CONFIG.users, CONFIG.turns, seed=CONFIG.seed)
    users = live_users(log, [0, 7])
    assert [user.user_id for user in users] == [log.truth["user_id"][0], log.truth["user_id"][7]]
    assert users[1].persona == log.truth["persona"][7]
    assert users[1].mood == log.truth["mood"][7]
    assert users[0].first_message()


def test_new_users_are_strangers_to_the_log_and_to_each_other():
    users = SimulatedUser.several(8, seed=1, config=CONFIG)
    assert len({user.user_id for user in users}) == 8
    assert [user.persona for user in users] == [0, 1, 2, 3, 0, 1, 2, 3]


@pytest.mark.parametrize("reply", ["", "?", "\u2019", "word " * 400])
def test_any_reply_gets_a_bounded_reaction(reply):
    user = SimulatedUser(0, 0, config=CONFIG)
    user.first_message()
    reaction = user.react(reply)
    assert -1 < reaction.satisfaction < 1
    assert -1 <= reaction.mood <= 1
    assert reaction.rating in {None, 1.0, 2.0, 3.0, 4.0, 5.0}


def test_users_of_one_persona_agree_on_what_they_like_more_than_users_of_two():
    replies = [arm.replies[0] for arm in load_menu("emotional_support").served]
    config = SimulationConfig(seed=5, agents=("emotional_support",))

    def likes(persona: int, seed: int) -> list[float]:
        user = SimulatedUser(persona, seed, config=config)
        user.first_message()
        return [user.expected_reward(reply) for reply in replies]

    table = np.array([likes(index % 2, index) for index in range(20)])
    agreement = np.corrcoef(table)
    same = agreement[::2, ::2][~np.eye(10, dtype=bool)].mean()
    assert same > agreement[::2, 1::2].mean() + 0.3
