"""The benchmark where Node is missing."""

import pytest

from bench import npm


def test_without_node_the_contenders_in_node_are_left_out_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    left_out = npm.left_out({"ours", "crud", "node", "emmett"})
    assert set(left_out) == {"node", "emmett"}
    assert all("needs Node" in reason for reason in left_out.values())
