import numpy as np
import pytest

from rapport.report.outcomes import LEAST_USERS, binned, counted, means


def test_means_by_label_with_users_counted():
    labels = np.array(["a"] * 12 + ["b"] * 12 + [""] * 3)
    users = np.array([f"u{i % 6}" for i in range(24)] + ["x", "y", "z"])
    values = np.concatenate([np.full(12, 0.5), np.full(12, -0.25), np.zeros(3)])
    values[0] = np.nan
    found = means(labels, values, users)
    assert found.select("label", "value", "n", "users").rows() == [
        ("a", 0.5, 11, 6),
        ("b", -0.25, 12, 6),
    ]
    assert (found["low"] <= found["value"]).all()


def test_each_user_can_count_once_however_loud():
    users = np.array([f"u{i}" for i in range(9)] + ["loud"] * 91)
    values = np.r_[np.zeros(9), np.ones(91)]
    labels = np.full(100, "a")
    assert means(labels, values, users)["value"].to_list() == [0.91]
    found = means(labels, values, users, once=True)
    assert found["value"].to_list() == [pytest.approx(0.1)]
    assert found["n"].to_list() == [100]


def test_a_label_of_few_users_is_left_out():
    few = LEAST_USERS - 1
    labels, users = np.array(["a"] * few), np.array([f"u{i}" for i in range(few)])
    assert means(labels, np.zeros(few), users).height == 0


def test_bins_hold_equal_shares_and_ties_stay_together():
    assert np.bincount(binned(np.arange(100.0), bins=4)).tolist() == [25, 25, 25, 25]
    assert len(set(binned(np.zeros(10)).tolist())) == 1


def test_counting_names_what_is_missing():
    assert counted(["a", "b", "a", None]) == {"a": 2, "b": 1, "unknown": 1}
