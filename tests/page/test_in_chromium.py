"""The approval page as a person has it before their eyes: in a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from server.cli.approval_page import print_calls, print_request
from tests.page.site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.chromium, pytest.mark.slow]
expect.set_options(timeout=30_000)

APPROVE, DENY = "[data-verdict=approve]", "[data-verdict=deny]"


@pytest.fixture(scope="module")
def agent(site: Site) -> str:
    return site.agent()


def sign_in(page: Page, site: Site, person: str, place: str = "/approvals") -> None:
    """Open a place and sign in there with a key file."""
    page.goto(site.base + place)
    expect(page.locator("#with-script")).to_be_visible()
    page.set_input_files("#key-file", site.key_file(person))
    expect(page.locator(".who")).to_have_text(person)


def place_of(asked: Any) -> str:
    return f"/approvals/{asked.approval['request']}"


def without_space(text: str) -> str:
    """A text without white space, and without the marks of folded lines at a terminal."""
    return re.sub(r"\s", "", re.sub("↩\n *", "", text))


def test_a_reviewer_signs_in_reads_and_approves_and_the_agent_writes_once(
    site: Site, agent: str, page: Page, faults: list[str]
) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.headers} {request.post_data}"))
    (asked,) = site.asked(agent, item_id="b-1", price=5)
    sign_in(page, site, "rita", place_of(asked))
    expect(page.locator("p.call")).to_have_text("shop__change_item on item:b-1")
    page.click(APPROVE)
    expect(page.locator(".sheet > .told")).to_have_text(
        "Approved: the agent can make this very call now, once."
    )
    assert site.state(asked) == "approved"
    assert site.write(agent, asked, item_id="b-1", price=6).code == "approval_mismatch"
    assert site.write(agent, asked, item_id="b-1", price=5).code == "done"
    assert site.write(agent, asked, item_id="b-1", price=5).code == "approval_spent"
    assert len(site.room.stage.effects("b-1")) == 1
    # The log holds a signature of the person's own key over the call, made in the browser.
    approved = site.room.entries("approval.judged")[-1]
    assert approved.principal == "rita"
    # The private half never left: it is in no request, header or address.
    private = site.key_file("rita").read_text().split('"private_key": "')[1].split('"')[0]
    assert any("/approvals/verdicts" in one for one in sent)
    assert [one for one in sent if private in one] == []
    assert faults == []


def test_a_denial_in_the_browser_holds(site: Site, agent: str, page: Page) -> None:
    (asked,) = site.asked(agent, item_id="b-2", price=5)
    sign_in(page, site, "rita", place_of(asked))
    page.click(DENY)
    expect(page.locator(".sheet > .told")).to_have_text("Denied.")
    assert site.write(agent, asked, item_id="b-2", price=5).code == "approval_denied"


def test_several_calls_are_judged_on_one_page_each_signed_by_itself(
    site: Site, agent: str, page: Page, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    several = site.asked(agent, 3, item_id="b-3", price=10)
    sign_in(page, site, "rita")
    page.locator(".group", has_text="b-3").get_by_text("Judge these 3 calls on one page").click()
    expect(page.locator(APPROVE)).to_have_text("Approve these 3 calls, each once")
    monkeypatch.setenv("COLUMNS", "100")
    capsys.readouterr()
    print_calls([site.shown("rita", one) for one in several])
    printed = without_space(capsys.readouterr().out.replace("─", ""))
    assert without_space("".join(page.locator(".sheet").all_inner_texts())) == printed
    page.click(APPROVE)
    expect(page.locator(".sheet > .told.done")).to_have_count(3)
    assert [site.state(one) for one in several] == ["approved"] * 3
    judged = site.room.entries("approval.judged")[-3:]
    assert len({str(entry.body["signature"]) for entry in judged}) == 3


def test_the_page_and_the_terminal_say_the_same(
    site: Site, agent: str, page: Page, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = {"a b": ["ж " * 90, {"n": 1.5}], "c": "x" * 300}
    note = 'two\nlines \u202e and "quotes" <b>'
    (asked,) = site.asked(agent, said="It is due.", item_id="b-4", price=5, note=note, details=long)
    sign_in(page, site, "rita", f"{place_of(asked)}?full")
    expect(page.locator(APPROVE)).to_be_enabled()
    monkeypatch.setenv("COLUMNS", "100")
    capsys.readouterr()
    print_request(site.shown("rita", asked), "", whole=True)
    printed = without_space(capsys.readouterr().out.replace("═", ""))
    assert without_space(page.locator(".sheet").inner_text()) == printed


def test_case_19_bidi_newlines_and_markup_are_shown_escaped_and_flagged(
    site: Site, agent: str, page: Page, faults: list[str]
) -> None:
    markup = '</td><script>document.title="owned"</script><img src=x onerror="document.title=1">'
    given: dict[str, Any] = {
        "note": "pay \u202e001\u202c\nAPPROVED",
        "label": markup,
        "details": {"p\u0430y\u200b": markup},
    }
    (asked,) = site.asked(agent, item_id="b-5", price=5, **given)
    sign_in(page, site, "rita", place_of(asked))
    values = page.locator(".exact").inner_text()
    assert '"pay \\u{202e}001\\u{202c}\\nAPPROVED"' in values
    assert "</td><script>" in values
    assert "p\\u{0430}y\\u{200b}" in values
    told = " ".join(page.locator(".call .look").all_inner_texts())
    assert "suspicious in note: bidi: RIGHT-TO-LEFT OVERRIDE" in told
    assert "look-alike: CYRILLIC SMALL LETTER A" in told
    assert page.locator(".sheet script, .sheet img").count() == 0
    assert "owned" not in page.title()
    # Not one character that could reorder or hide reaches the page at all.
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b-\u200f]", page.locator("body").inner_text())
    assert faults == []


def test_case_38_no_link_prefetch_or_image_of_the_page_has_an_effect(
    site: Site, agent: str, page: Page, context: BrowserContext
) -> None:
    (asked,) = site.asked(agent, item_id="b-6", price=5)
    sign_in(page, site, "rita", place_of(asked))
    before = len(site.room.entries("approval.judged"))
    request = asked.approval["request"]
    for query in ("?verdict=approve", "?approve", "?full&verdict=approve"):
        page.goto(f"{site.base}/approvals/{request}{query}")
    for method in ("GET", "HEAD"):
        answer = context.request.fetch(f"{site.base}/approvals/verdicts?request={request}", method=method)
        assert answer.status == 404
    statuses = page.evaluate(
        """async (request) => {
            const told = [];
            for (const method of ["GET", "HEAD", "PUT", "DELETE", "PATCH"]) {
                const given = { method, headers: { "sec-purpose": "prefetch" } };
                for (const place of [`/approvals/verdicts?request=${request}&verdict=approve`,
                                     `/approvals/${request}?verdict=approve`])
                    told.push((await fetch(place, given)).status);
            }
            return told;
        }""",
        request,
    )
    assert set(statuses) <= {200, 404, 405}
    assert site.state(asked) == "pending"
    assert len(site.room.entries("approval.judged")) == before


def test_case_39_the_page_shows_the_arguments_and_not_what_the_agent_says_of_them(
    site: Site, agent: str, page: Page
) -> None:
    (asked,) = site.asked(agent, said="I set the price to 1 as agreed.", item_id="b-7", price=999)
    sign_in(page, site, "rita", place_of(asked))
    sheet = page.locator(".sheet").inner_text()
    assert re.search(r"price\s+999", page.locator(".exact").inner_text())
    assert "I set the price to 1 as agreed." not in page.locator("section.call").inner_text()
    says = page.locator("section.concluded")
    expect(says.locator("h2")).to_have_text("What it concluded, in its own words")
    expect(says).to_contain_text("I set the price to 1 as agreed.")
    assert sheet.index("999") < sheet.index("I set the price to 1")


def test_without_scripts_the_page_says_what_to_type_in_a_terminal(
    site: Site, agent: str, browser: Browser
) -> None:
    (asked,) = site.asked(agent, item_id="b-8", price=5)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.base + place_of(asked))
    expect(page.locator("body")).to_contain_text("No script runs here")
    expect(page.locator("pre")).to_contain_text(f"bailiwick approval approve {asked.approval['request']}")
    expect(page.locator("#with-script")).to_be_hidden()
    context.close()


def test_the_key_waits_in_the_browser_unreadable_and_goes_when_one_signs_out(
    site: Site, agent: str, page: Page, context: BrowserContext
) -> None:
    sign_in(page, site, "rita")
    held = """() => new Promise((done) => {
        const opening = indexedDB.open("bailiwick", 1);
        opening.onsuccess = () => {
            const asked = opening.result.transaction("keys").objectStore("keys").get("mine");
            asked.onsuccess = async () => {
                opening.result.close();
                if (!asked.result) return done("none");
                const key = asked.result.private;
                const read = await crypto.subtle.exportKey("jwk", key).then(() => "read", () => "refused");
                done([key.extractable, read, Object.keys(asked.result).sort().join()]);
            };
        };
    })"""
    assert page.evaluate(held) == [False, "refused", "kid,person,private"]
    # A session that ended elsewhere: the key is still here, and one click signs in again.
    context.clear_cookies()
    page.reload()
    page.click("#again")
    expect(page.locator(".who")).to_have_text("rita")
    assert all(cookie.get("httpOnly") and cookie.get("sameSite") == "Strict" for cookie in context.cookies())
    assert page.evaluate("document.cookie") == ""
    page.click("#sign-out")
    expect(page.locator("#sign-in")).to_be_visible()
    assert page.evaluate(held) == "none"


def test_whoever_may_not_judge_reads_why_and_has_no_button(site: Site, agent: str, page: Page) -> None:
    (asked,) = site.asked(agent, item_id="b-9", price=5)
    sign_in(page, site, "olga", place_of(asked))
    expect(page.locator(".signatures .look")).to_contain_text("olga may not judge")
    expect(page.locator("#verdict")).to_have_count(0)


def test_a_file_that_is_no_key_and_a_key_that_is_not_enrolled_are_refused_in_a_sentence(
    site: Site, page: Page
) -> None:
    page.goto(f"{site.base}/approvals")
    expect(page.locator("#with-script")).to_be_visible()
    other = site.keys / "other.json"
    other.write_text('{"v": 1}')
    page.set_input_files("#key-file", other)
    expect(page.locator("#told")).to_contain_text("This is no personal key file")
    stranger = site.key_file("rita").read_text().replace('"rita"', '"nobody"')
    other.write_text(stranger)
    page.set_input_files("#key-file", [])
    page.set_input_files("#key-file", other)
    expect(page.locator("#told")).to_contain_text("is not enrolled here")


def test_no_script_of_elsewhere_runs_and_no_frame_holds_the_page(site: Site, page: Page) -> None:
    page.goto(f"{site.base}/approvals")
    ran = page.evaluate(
        """(place) => new Promise((done) => {
            document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
            fetch(place).catch(() => undefined);
        })""",
        site.base.replace("127.0.0.1", "localhost"),
    )
    assert ran == "connect-src"
    inline = "document.body.setAttribute('onclick', 'window.owned = true')"
    assert "TrustedScript" in page.evaluate(
        f"() => {{ try {{ {inline} }} catch (e) {{ return String(e) }} }}"
    )
    # Under another name of this machine it is another site.
    elsewhere = site.base.replace("127.0.0.1", "localhost")
    page.goto(f"{elsewhere}/healthz")
    page.evaluate(
        """(place) => { const frame = document.createElement("iframe"); frame.src = place;
                        document.body.append(frame); }""",
        f"{site.base}/approvals",
    )
    frame = page.frames[-1]
    frame.wait_for_load_state()
    assert frame.locator("#sign-in").count() == 0
