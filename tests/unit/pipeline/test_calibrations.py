import numpy as np

from rapport.language.discriminator import ReplyDiscriminator
from rapport.pipeline.calibrations import calibrations
from rapport.policy.behaviour import Behaviour
from rapport.policy.context_model import fit_context_model
from rapport.policy.policy import Policy
from tests.unit.policy.worlds import a_world


def test_a_release_tells_both_curves_or_what_it_has(tmp_path):
    assert calibrations(tmp_path) == {}
    data, _ = a_world(n=900, seed=1)
    context = fit_context_model(data)
    policy = Policy(data.layout, Behaviour(), "uniform", context=context)
    policy.save(tmp_path / "policy")
    found = calibrations(tmp_path)
    assert set(found) == {"arm_given_context"}
    assert found["arm_given_context"]["n"] == sum(
        b["n"] for b in found["arm_given_context"]["bins"]
    )
    rng = np.random.default_rng(0)
    judge = ReplyDiscriminator.fit(rng.normal(size=(60, 3)) + 1, rng.normal(size=(60, 3)), seed=0)
    (tmp_path / "adapters").mkdir()
    judge.save(tmp_path / "adapters" / "discriminator.json")
    found = calibrations(tmp_path)
    assert found["reply_given_context"]["n"] == 40
    assert 0 <= found["reply_given_context"]["error"] < 0.3


def test_a_policy_keeps_its_curve_through_the_disk_and_its_id(tmp_path):
    data, _ = a_world(n=900, seed=1)
    context = fit_context_model(data)
    policy = Policy(data.layout, Behaviour(), "uniform", context=context)
    policy.save(tmp_path)
    again = Policy.load(tmp_path)
    assert again.id == policy.id
    assert again.context is not None
    assert again.context.calibration == context.calibration
    (tmp_path / "calibration.json").unlink()
    assert Policy.load(tmp_path).id == policy.id
