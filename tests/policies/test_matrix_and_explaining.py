"""What the policies come to: as a matrix that is read as a diff, and as the reasons of one decision."""

from __future__ import annotations

from pathlib import Path

from policies.cedar import DEFAULT_FOLDER, PolicySet
from policies.decisions import judge_approval, read_evidence, use_tool
from policies.explaining import Explanation, explain, words_for_agent
from policies.matrix import as_lines, matrix
from policies.policy_files import read_policy_files
from policies.principals import Agent, Person

SHIPPED = PolicySet.load(DEFAULT_FOLDER)
GOLDEN = Path(__file__).with_name("matrix.txt")
CLERK = Agent("clerk", "acme", "owen")


def test_the_matrix_of_the_shipped_policies_is_the_golden_one() -> None:
    """After a deliberate change: `bailiwick policy matrix policies/default > tests/policies/matrix.txt`."""
    assert list(as_lines(matrix(SHIPPED))) == GOLDEN.read_text().splitlines()


def test_a_changed_policy_is_a_changed_line() -> None:
    files = dict(read_policy_files(DEFAULT_FOLDER))
    files["own.cedar"] = (
        '@id("own") forbid (principal is Agent, action == Action::"use_tool", resource) '
        'when { context.effect == "simulate" };'
    )
    stricter = list(as_lines(matrix(PolicySet.from_files(files, place="here"))))
    golden = GOLDEN.read_text().splitlines()
    assert [line.replace("read|lookup|simulate", "read|lookup") for line in golden] == stricter


def sensitive(people: int) -> Explanation:
    return explain(
        SHIPPED,
        use_tool(
            CLERK,
            "desk__refund",
            "acme",
            run_owner="clerk",
            in_scope=True,
            step_kind="execute",
            effect="write",
            sensitive=True,
            approved=True,
            people=people,
        ),
    )


def test_a_denial_names_its_policy_and_everything_that_would_change_it() -> None:
    found = sensitive(1)
    assert not found.decision.allowed
    assert found.decision.policies == ("sensitive-writes-need-two-people",)
    assert "people were 2" in found.changes
    assert "sensitive were no" in found.changes
    assert "people were 0" not in found.changes
    assert "context.people" in found.texts[0]
    said = "A sensitive write needs the approval of two people."
    assert words_for_agent(SHIPPED, found.decision) == said


def test_an_allowed_call_says_what_would_deny_it() -> None:
    found = sensitive(2)
    assert found.decision.allowed
    assert {"people were 1", "approved were no", "in_scope were no", "step_kind were plan"} <= {
        *found.changes
    }


def test_what_nothing_permits_says_which_role_label_or_tenant_is_missing() -> None:
    judging = judge_approval(
        Person("eve", "acme", frozenset()), "req_1", "acme", owns_agent=False, four_eyes=True
    )
    found = explain(SHIPPED, judging)
    assert (found.decision.policies, found.changes) == ((), ("eve had the role reviewer",))
    assert words_for_agent(SHIPPED, found.decision) == "No policy allows it."
    reading = read_evidence(CLERK, "run_1", "acme", run_owner="clerk", labels=("hr",))
    assert explain(SHIPPED, reading).changes == ("labels were none", "clerk held the labels hr")
    elsewhere = read_evidence(CLERK, "run_1", "globex", run_owner="clerk", labels=())
    assert explain(SHIPPED, elsewhere).changes == ("the run were of tenant acme",)
