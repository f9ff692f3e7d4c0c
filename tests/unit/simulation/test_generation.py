import numpy as np
import pytest

from rapport.simulation import agents
from rapport.simulation.clock import starts
from rapport.simulation.generation import run
from rapport.simulation.phrases import leads, phrasebook
from rapport.simulation.settings import SimulationConfig

CONFIG = SimulationConfig(users=300, turns=12, seed=4)
MINDS, STEP, MOODS = run(CONFIG)


def test_a_conversation_ends_when_someone_leaves_and_the_next_begins():
    left = STEP.left_silently[:-1]
    assert left.any()
    assert np.all((np.diff(STEP.conversation, axis=0) == 1)[left])
    assert np.all((STEP.exchange[1:] == 0) == (np.diff(STEP.conversation, axis=0) == 1))


def test_control_users_get_the_plain_reply_at_every_turn_and_nobody_else_does():
    control = STEP.arm == agents.CONTROL
    np.testing.assert_array_equal(control, np.tile(MINDS.control, (CONFIG.turns, 1)))
    plain = {
        text
        for topic in phrasebook().topics
        for agent_id in CONFIG.agents
        for known in [agents.replies(agent_id, topic)]
        for text, arm in zip(known.texts, known.arm, strict=True)
        if arm == agents.CONTROL
    }
    assert set(STEP.reply[control]) <= plain
    assert not set(STEP.reply[~control]) & plain


def test_some_replies_echo_the_manner_of_the_message():
    openings = tuple(lead for manner in leads() for lead in manner)
    served = STEP.reply[STEP.arm != agents.CONTROL]
    echoed = np.mean([reply.startswith(openings) for reply in served])
    assert 0.15 < echoed < 0.35  # 40 % of the messages that open in some manner


def test_what_was_felt_is_what_the_arm_was_worth_on_average():
    users = np.flatnonzero(~MINDS.control)
    arm = STEP.arm[:, users]
    worth = np.take_along_axis(STEP.expected[:, users], arm[..., None], axis=2)[..., 0]
    difference = (STEP.felt[:, users] - worth).ravel()
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))
    assert np.corrcoef(STEP.felt[:, users].ravel(), worth.ravel())[0, 1] > 0.85


def test_expected_rewards_are_missing_only_where_the_agent_lacks_the_arm():
    sizes = np.array([len(agents.served_arms(agent_id)) for agent_id in CONFIG.agents])
    np.testing.assert_array_equal(np.isfinite(STEP.expected).sum(axis=2), sizes[STEP.agent])
    assert np.nanmax(np.abs(STEP.expected)) < 1


def test_sessions_fit_into_the_days_and_exchanges_follow_each_other():
    at = starts(STEP, MINDS, config=CONFIG)
    assert at.min() >= 0
    assert at.max() < CONFIG.days * 86_400
    gaps = np.diff(at, axis=1)
    within = STEP.exchange.T[:, 1:] > 0
    assert np.all(gaps[within] > STEP.pause_s.T[:, :-1][within])
    assert np.median(gaps[~within]) > 3600 > np.median(gaps[within])


def test_even_a_crowded_day_holds_all_turns():
    crowded = SimulationConfig(users=20, turns=72, days=1, seed=1)
    minds, step, _ = run(crowded)
    assert starts(step, minds, config=crowded).max() < 86_400


def test_moods_stay_in_bounds_to_the_end():
    assert np.abs(STEP.mood).max() <= 1
    assert np.abs(MOODS).max() <= 1
    assert STEP.mood.std() == pytest.approx(0.3, abs=0.1)
