"""From a task in the log to a nudge in an application's hands, and what he says of it back."""

import datetime as dt
import json
import shutil

import pytest

from rapport.config import JobConfig
from rapport.governance.tenants import load_tenants, policy_of
from rapport.home import Home
from rapport.ingest import ingest
from rapport.lake import Lake
from rapport.pipeline.nudging import propose_nudges
from rapport.pipeline.outbox import relay_all
from rapport.pipeline.rewards import reward_log
from rapport.pipeline.settings import NudgeConfig
from tests.serve.graphs import graph_over

NOW = dt.datetime.now(dt.UTC)
"""When this file was read, which in a long run is minutes before its tests."""
AGREED = "[serve, analytics, train, experiment, infer_affect, proactive]"
TENANT = f"""
default:
  default_age_band: adult
  default_purposes: {AGREED}
  time_zone: Etc/UTC
"""
TASKS = {"tove": ("tax form", 2), "nils": ("essay", 300), "pia": ("homework", 2)}
"""Task and hours until it is due: soon enough that a nudge is certain, late enough that none is.

Of people whom no other test of this home knows: who was in a crisis there is not nudged.
"""


def quiet(*, now):
    """Quiet hours that this moment lies in, or just not."""
    start = NOW + dt.timedelta(hours=-1 if now else 1)
    end = start + dt.timedelta(hours=2)
    return f'  quiet_hours: {{start: "{start:%H:%M}", end: "{end:%H:%M}"}}\n'


class Town:
    """A graph over a home whose log declares tasks."""

    def __init__(self, promoted_home, folder):
        self.home = shutil.copytree(promoted_home, folder / "home")
        self.tenants = self.home / "tenants.yaml"
        self.tenants.write_text(TENANT)
        rows = ["conversation_id,user_id,role,kind,task_id,timestamp,features,age_band,text"]
        for user, (task, hours) in TASKS.items():
            due = json.dumps({"due": (NOW + dt.timedelta(hours=hours)).timestamp()})
            quoted = '"' + due.replace('"', '""') + '"'
            made = (NOW - dt.timedelta(hours=20)).isoformat()
            band = "minor" if user == "pia" else ""
            rows.append(f"t-{user},{user},user,task,{task},{made},{quoted},{band},")
        (folder / "tasks.csv").write_text("\n".join(rows) + "\n")
        home = Home(self.home)
        ingest(
            "turns-csv",
            [folder / "tasks.csv"],
            lake=Lake(home.lake),
            secret=home.secret(),
            policy=policy_of(load_tenants(home.tenants), "default"),
        )
        self.graph = graph_over(self.home)

    def restart(self, settings=""):
        """The same with other rules of the tenant."""
        self.graph.store.close()
        self.tenants.write_text(TENANT + settings)
        self.graph = graph_over(self.home)

    def propose(self, **settings):
        return propose_nudges(NudgeConfig(home=self.home, **settings))

    def pull(self, user):
        answer = self.graph.api.get(f"/v1/nudges?user={user}", headers=self.graph.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def profile(self, user, **fields):
        answer = self.graph.api.put(f"/v1/users/{user}", json=fields, headers=self.graph.headers)
        assert answer.status_code == 200, answer.text


@pytest.fixture
def town(promoted_home, tmp_path):
    town = Town(promoted_home, tmp_path)
    yield town
    town.graph.store.close()


def test_an_urgent_task_of_a_grown_person_who_agreed_is_spoken_of_once(town):
    told = town.propose()
    assert told["arms"] == {"suggestion": 1, "not_now": 1}
    assert told["tasks"] == 2  # a minor's row is not even read
    (nudge,) = town.pull("tove")["data"]
    assert (nudge["task_id"], nudge["kind"]) == ("tax form", "suggestion")
    open_h = 20 + (dt.datetime.now(dt.UTC) - NOW) / dt.timedelta(hours=1)
    assert nudge["urgency"] == pytest.approx(open_h / 22, abs=0.01)
    assert dt.datetime.fromisoformat(nudge["deadline"]) > NOW
    assert nudge["text"]
    assert town.pull("nils") == {"object": "list", "data": [], "withheld": None}
    assert town.pull("pia")["data"] == []
    assert town.propose()["decisions"] == 0


def test_both_decisions_are_logged_with_all_arms_and_exact_propensities(town):
    town.propose()
    relay_all(JobConfig(home=town.home))
    rows = Lake(Home(town.home).lake).scan("decisions", purpose="train").collect().to_dicts()
    mine = [row for row in rows if (row["policy_id"] or "").startswith("nudges-")]
    assert len(mine) == 2
    for row in mine:
        arms = [one["arm"] for one in row["candidates"]]
        assert arms == ["not_now", "suggestion", "resource", "reminder"]
        assert row["propensity"] == row["candidates"][row["action_index"]]["probability"] == 1.0
        assert {"urgency", "begun", "due"} <= set(dict(row["features"]))


def test_a_nudge_is_shown_and_explained_like_any_decision(town):
    town.propose()
    (nudge,) = town.pull("tove")["data"]
    one = f"/v1/decisions/{nudge['decision_id']}"
    row = town.graph.api.get(one, headers=town.graph.headers).json()
    assert row["candidates"][0]["arm"] == "not_now"
    told = town.graph.api.get(f"{one}/explanation", headers=town.graph.headers)
    assert told.status_code == 200, told.text
    arms = {each["arm"]: each["probability"] for each in told.json()["candidates"]}
    assert arms == {"not_now": 0.0, "suggestion": 1.0, "resource": 0.0, "reminder": 0.0}


def test_too_early_lowers_the_reward_and_the_next_policy_knows(town):
    first = town.propose()
    (nudge,) = town.pull("tove")["data"]
    said = {"decision_id": nudge["decision_id"], "metric_name": "too_early", "value": True}
    answer = town.graph.post("/v1/feedback", said)
    assert answer.status_code == 200, answer.text
    assert answer.json()["sentiment"] == -1.0
    relay_all(JobConfig(home=town.home))
    reward_log(JobConfig(home=town.home, encoder=f"file:{town.home}/encoder"))
    rewards = Lake(Home(town.home).lake).scan("rewards", purpose="train").collect()
    (row,) = rewards.filter(decision_id=nudge["decision_id"]).to_dicts()
    assert row["value"] == -1.0
    later = NOW + dt.timedelta(hours=1)
    assert town.propose(now=later, again_h=0.5)["policy"] != first["policy"]


def test_what_was_proposed_is_withheld_where_it_may_not_be_said_now(town):
    town.restart(quiet(now=False))
    assert town.propose()["arms"]["suggestion"] == 1
    assert len(town.pull("tove")["data"]) == 1
    town.profile("tove", purposes=["serve"])
    assert town.pull("tove") == {"object": "list", "data": [], "withheld": "no consent"}
    town.profile("tove", age_band="minor", purposes=["serve", "proactive"])
    assert town.pull("tove")["withheld"] == "protected"
    town.profile("tove", attributes={"time_zone": "Nowhere/Land"})
    assert town.pull("tove")["withheld"] == "time zone unknown"
    town.profile("tove")
    assert len(town.pull("tove")["data"]) == 1
    town.restart(quiet(now=True))
    assert town.pull("tove")["withheld"] == "quiet hours"


def test_nothing_is_proposed_in_quiet_hours_or_after_consent_was_withdrawn(town):
    town.restart(quiet(now=True))
    assert town.propose() == town.propose()
    assert town.propose()["not_written_to"] == {"quiet hours": 2}
    town.restart()
    town.profile("tove", purposes=["serve", "train"])
    town.profile("nils", age_band="13-17")
    told = town.propose()
    assert told["decisions"] == 0
    assert told["not_written_to"] == {"no consent": 1, "protected": 1}


def test_a_task_that_is_over_or_not_declared_yet_is_not_spoken_of(town):
    assert town.propose(now=NOW + dt.timedelta(hours=3))["tasks"] == 1
    assert town.propose(now=NOW - dt.timedelta(days=1))["tasks"] == 0
