import pytest
from pydantic import ValidationError

from rapport.errors import UnknownNameError
from rapport.simulation import SimulationConfig


def test_the_same_settings_name_the_same_run_and_any_other_another():
    one = SimulationConfig(users=10, seed=1)
    assert one.run_id == SimulationConfig(seed=1, users=10).run_id
    assert one.run_id != SimulationConfig(users=11, seed=1).run_id
    assert one.run_id != SimulationConfig(users=10, seed=2).run_id


def test_an_agent_without_simulated_replies_is_refused_by_name():
    with pytest.raises(UnknownNameError, match="sales"):
        SimulationConfig(agents=("sales",))


@pytest.mark.parametrize("wrong", [{"personas": 7}, {"turns": 100, "days": 1}, {"agents": ()}])
def test_settings_that_cannot_be_simulated_are_refused(wrong):
    with pytest.raises(ValidationError):
        SimulationConfig(**wrong)
