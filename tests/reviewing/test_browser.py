"""The review page in a real Chromium: every key, what must not happen, and what must not be lost.

One server with ten thousand texts and one browser for all; each test is a person of its own.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from harness.sampling.samples import write_in_order
from tests.reviewing.served import Server
from tests.reviewing.written import sample

CHROMIUM = next((found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the path (Debian: apt install chromium)")

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: make env")

MANY = 10_000
HOSTILE = {
    "markup": "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">\n&amp;<b>bold</b>",
    "right to left": "\u202eafter\u202c\nשלום עולם\nplain again",
    "control": "bell\x07 null\x00 escape\x1b[31m zero\u200bwidth",
    "long": "word " * 20_000,
    "endless": "x" * 100_000,
}
_WORDS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_WORDS += ["--disable-sync", "--no-first-run", "--host-resolver-rules=MAP evil.example 127.0.0.1"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("page") / "s.jsonl"
    samples = [sample(number, theme=f"theme {number % 50}") for number in range(MANY - len(HOSTILE))]
    samples += [sample(MANY + number, theme=name, text=HOSTILE[name]) for number, name in enumerate(HOSTILE)]
    write_in_order(file, samples)
    made = Server(file, "--order", "file", "--pause", "0", "--repeats", "0", "--reviewer", "nobody")
    with closing(made):
        yield made
        said = made.end()
    assert "decided the same at second sight" in said and "decisions.jsonl" in said


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=_WORDS)
        yield made
        made.close()


class Tab:
    """A page, of one person."""

    def __init__(self, page: Any, server: Server, reviewer: str) -> None:
        self.page, self.server, self.reviewer = page, server, reviewer
        self.troubles: list[str] = []
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.troubles.append(message.text))
        page.set_default_timeout(20_000)

    def open(self) -> "Tab":
        self.page.goto(self.server.url)
        self.ready()
        return self

    def ready(self, phase: str = "ready") -> None:
        self.page.wait_for_selector(f"body[data-phase={phase}]")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.page.wait_for_selector("body:not([data-phase=busy]):not([data-phase=resting])")

    @property
    def item(self) -> str:
        return str(self.page.evaluate("document.querySelector('section[data-item]:not([hidden])').dataset.item"))

    def text(self, name: str) -> str:
        return str(self.page.inner_text(f"#{name}"))

    @property
    def decisions(self) -> list[tuple[str, str | None]]:
        return self.server.decisions(self.reviewer)

    @property
    def said(self) -> list[str | None]:
        return [decision for _, decision in self.decisions]

    def filter(self, theme: str) -> None:
        self.page.wait_for_selector("#theme option:nth-child(10)", state="attached")
        self.page.select_option("#theme", theme)
        self.page.wait_for_selector(f'#title:text-is("{theme}")')
        self.ready()


Opened = Callable[..., Tab]


@pytest.fixture
def open_tab(server: Server, browser: Any, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Tabs that share what a browser keeps, unless `apart`; the person is named after the test."""
    contexts: list[Any] = []
    tabs: list[Tab] = []

    def new_context() -> Any:
        made = browser.new_context(viewport={"width": 1000, "height": 800})
        contexts.append(made)
        return made

    def open_one(reviewer: str = request.node.name[:50], *, apart: bool = False) -> Tab:
        context = new_context() if apart or not contexts else contexts[-1]
        page = context.new_page()
        page.add_init_script(
            "document.addEventListener('readystatechange', () => {"
            "  const { review } = JSON.parse(document.documentElement.dataset.about || '{}');"
            "  const name = `review:${review}:name`;"
            f"  if (!sessionStorage.getItem(name)) sessionStorage.setItem(name, {json.dumps(json.dumps(reviewer))});"
            "}, { once: true });"
        )
        tabs.append(Tab(page, server, reviewer))
        return tabs[-1].open()

    yield open_one
    for tab in tabs:
        assert [each for each in tab.troubles if "the server responded" not in each and "ERR_" not in each] == []
    for context in contexts:
        context.close()


def test_the_first_text_is_there_at_once_at_ten_thousand(open_tab: Opened) -> None:
    tab = open_tab()
    tab.page.reload()
    tab.ready()
    painted = tab.page.evaluate(
        "[performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0,"
        " performance.getEntriesByName('first text')[0].startTime]"
    )
    print(f"first paint after {painted[0]:.0f} ms, the first text after {painted[1]:.0f} ms, of {MANY} texts")
    assert max(painted) < 5000
    assert tab.text("counted") == f"0 of {MANY} decided · {MANY} left"


def test_every_key_does_what_it_says(open_tab: Opened) -> None:
    tab = open_tab()
    first = tab.item
    tab.press("a", "s", "d")
    assert tab.said == ["accept", "skip", "delete"] and tab.decisions[0][0] == first
    assert tab.text("counted") == f"3 of {MANY} decided · {MANY - 3} left"
    tab.press("u", "u", "u")
    assert tab.item == first and tab.said[3:] == [None] * 3
    tab.press("ArrowRight")
    second = tab.item
    assert second != first
    tab.press("ArrowLeft")
    assert tab.item == first and len(tab.decisions) == 6, "looking decides nothing"
    tab.press("n")
    tab.page.keyboard.type("quiet, as it should be")
    tab.press("Enter", "A")
    assert tab.said[6:] == [None, "accept"], "the note by itself, then capitals too"
    tab.press("m")
    tab.page.wait_for_selector("#shares tr:has-text('kept, as they are or edited'):has-text('1 of 1')")
    tab.press("a", "Escape", "?")
    assert "undo, as far back as you like" in tab.text("help")
    tab.page.set_viewport_size({"width": 390, "height": 780})
    assert tab.page.locator("#help kbd").first.is_visible(), "a list of keys has its keys on a phone too"
    tab.press("Escape")
    assert tab.item == second, "keys in a dialog decide nothing"


# parts of a change that do not add up to what was there before and after
_REASSEMBLED = """async () => {
  const { changes } = await import("/changes.js");
  let seed = 1;
  const luck = (many) => (seed = (seed * 48271) % 2147483647) % many;
  const words = ["a", "word ", "河", "\\n", "  ", "é", "🌊", "."];
  const text = () => Array.from({ length: luck(12) }, () => words[luck(words.length)]).join("");
  return Array.from({ length: 400 }, () => [text(), text()]).filter(([before, after]) => {
    const parts = changes(before, after);
    const without = (kind) => parts.filter((part) => part.kind !== kind).map((part) => part.text).join("");
    return without("in") !== before || without("out") !== after;
  });
}"""


def test_an_edit_keeps_its_lines_shows_what_changed_and_is_undone_with_its_draft(open_tab: Opened) -> None:
    tab = open_tab()
    tab.press("e")
    box = tab.page.locator("#box")
    assert box.input_value() == "line one of 0\nline two of 0"
    tab.page.keyboard.press("Control+Enter")
    assert "Nothing is changed" in tab.text("message")
    box.fill("line one of nothing\n\n河边\nlast")
    tab.page.wait_for_selector("#changes ins")
    assert "nothing" in tab.page.locator("#changes ins").all_inner_texts()
    tab.press("Escape")
    assert tab.decisions == [], "left, and nothing decided"
    tab.press("e")
    assert box.input_value() == "line one of nothing\n\n河边\nlast", "the draft is kept"
    tab.press("Control+Enter")
    assert tab.said == ["edit"]
    tab.press("u")
    tab.press("e")
    assert box.input_value() == "line one of nothing\n\n河边\nlast", "also after an undo"
    tab.press("Control+Enter")
    tab.page.select_option("#state", "edit")
    tab.page.wait_for_selector("#edited-text ins")
    assert tab.page.evaluate(_REASSEMBLED) == []
    assert tab.text("stands") == "Edited"


def test_the_mouse_does_the_same_as_the_keys(open_tab: Opened) -> None:
    tab = open_tab()
    for name in ("Accept", "Skip", "Delete"):
        tab.page.get_by_role("button", name=re.compile(rf"^{name}")).click()
        tab.ready()
    tab.page.get_by_role("button", name=re.compile("^Undo")).click()
    tab.ready()
    tab.page.get_by_label("Note", exact=True).fill("of the mouse")
    tab.page.get_by_role("button", name=re.compile("^Accept")).click()
    tab.ready()
    assert tab.said == ["accept", "skip", "delete", None, "accept"], "a note goes with the decision that is clicked"
    tab.page.get_by_role("button", name=re.compile("^Edit")).click()
    tab.page.get_by_label("Edit", exact=True).fill("new words")
    tab.page.get_by_role("button", name=re.compile("^Save")).click()
    tab.ready()
    assert tab.said[-1] == "edit"


def test_two_texts_side_by_side(open_tab: Opened) -> None:
    tab = open_tab()
    tab.press("p")
    assert tab.text("left") != tab.text("right")
    many = int(tab.text("counted").split()[2])
    tab.press("1")
    assert tab.text("counted") == f"1 of {many} decided · {many - 1} left"
    tab.press("2", "0", "s", "ArrowLeft")
    assert tab.said == ["left", "right", "tie", "skip", "left"]
    tab.press("u", "p")
    assert tab.said[-1] is None
    assert tab.page.locator("#one").is_visible()


def test_after_a_decision_keys_do_nothing_for_a_moment(server: Server, open_tab: Opened) -> None:
    tab = open_tab()

    def slower(route: Any) -> None:
        reply = route.fetch()
        route.fulfill(response=reply, body=reply.text().replace("&quot;pause&quot;: 0.0", "&quot;pause&quot;: 1.0"))

    tab.page.route(server.url, slower)
    tab.open()
    tab.page.keyboard.press("a")
    tab.ready("resting")
    for key in "dduea":
        tab.page.keyboard.press(key)
    assert tab.said == ["accept"]
    tab.ready()
    tab.press("d")
    assert tab.said == ["accept", "delete"]


def test_keys_at_35_milliseconds_are_for_the_text_that_is_on_the_screen(open_tab: Opened) -> None:
    tab = open_tab()
    pressed: list[list[str]] = tab.page.evaluate(
        """async () => {
          const pressed = [];
          for (let number = 0; number < 40; number += 1) {
            const key = "asdau"[number % 5];
            const shown = document.querySelector("#one").dataset.item;
            const ready = document.body.dataset.phase === "ready";
            if (ready) pressed.push([shown, key]);
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
            await new Promise((done) => setTimeout(done, 35));
          }
          return pressed;
        }"""
    )
    tab.ready()
    names = {"a": "accept", "s": "skip", "d": "delete"}
    meant = [(shown, names[key]) for shown, key in pressed if key in names]
    assert [each for each in tab.decisions if each[1] is not None] == meant
    assert len(meant) >= 3


def test_a_key_that_is_held_decides_once(open_tab: Opened) -> None:
    tab = open_tab()
    tab.page.keyboard.down("a")
    tab.ready()
    for _ in range(5):
        tab.page.keyboard.down("a")  # as a keyboard repeats it
    tab.page.keyboard.up("a")
    tab.press("d")
    assert tab.said == ["accept", "delete"]
    tab.page.get_by_role("button", name=re.compile("^Skip")).focus()
    for _ in range(5):
        tab.page.keyboard.down("Enter")
        tab.ready()
    tab.page.keyboard.up("Enter")
    assert tab.said == ["accept", "delete", "skip"], "also where it presses a button"
    tab.page.get_by_role("button", name=re.compile("^Accept")).click()
    tab.ready()
    tab.press("Space")
    assert tab.said[3:] == ["accept"], "the space bar scrolls after a click"


def test_keys_that_compose_a_character_or_go_into_a_field_decide_nothing(open_tab: Opened) -> None:
    tab = open_tab()
    tab.page.evaluate(
        """() => {
          const composing = new KeyboardEvent("keydown", { key: "a", isComposing: true, bubbles: true });
          const process = new KeyboardEvent("keydown", { key: "Process", bubbles: true });
          Object.defineProperty(process, "keyCode", { get: () => 229 });
          document.body.dispatchEvent(composing);
          document.body.dispatchEvent(process);
        }"""
    )
    tab.press("n")
    devtools = tab.page.context.new_cdp_session(tab.page)
    devtools.send("Input.imeSetComposition", {"text": "he", "selectionStart": 2, "selectionEnd": 2})
    tab.page.evaluate(
        """() => document.querySelector("#note").dispatchEvent(
          new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true }))"""
    )
    devtools.send("Input.insertText", {"text": "河"})
    tab.page.keyboard.type(" asdu")
    assert tab.page.input_value("#note") == "河 asdu", "the Enter of a composition does not leave the field"
    assert tab.decisions == []
    tab.press("Enter", "e")
    devtools.send("Input.insertText", {"text": "水"})
    tab.page.keyboard.type("dad\n")
    assert tab.page.input_value("#box").startswith("水dad\nline one")
    assert tab.said == [None], "the note alone"


def test_what_was_decided_survives_kill_9_and_what_could_not_be_saved_is_kept_and_tried_again(
    server: Server, open_tab: Opened
) -> None:
    tab = open_tab()
    tab.press("a")
    server.kill()
    tab.page.keyboard.press("d")
    tab.ready("unsaved")
    assert "Not saved" in tab.text("message") and "kept here" in tab.text("message")
    for key in "asu":
        tab.page.keyboard.press(key)
    tab.page.select_option("#state", "all")
    assert tab.page.input_value("#state") == "open", "what waits to be saved comes first"
    assert tab.said == ["accept"]
    server.start()
    tab.ready()
    assert tab.said == ["accept", "delete"], "in the order pressed, each once"
    server.kill()
    tab.page.keyboard.press("s")
    tab.ready("unsaved")
    tab.page.close()
    server.start()
    again = open_tab()
    assert again.said == ["accept", "delete", "skip"], "a closed tab had kept it"
    assert again.text("counted") == f"3 of {MANY} decided · {MANY - 3} left"


def test_a_stale_tab_is_told_so_and_changes_nothing(open_tab: Opened) -> None:
    one = open_tab()
    other = open_tab()
    assert one.item == other.item
    one.press("a")
    other.press("d")
    assert "decided on elsewhere" in other.text("message") and "it stands as: accept" in other.text("message")
    assert one.said == ["accept"] and other.item == one.item
    one.press("u")
    other.press("u")
    assert "in another tab it was undone" in other.text("message")
    assert one.said == ["accept", None]


def test_two_people_do_not_meet(open_tab: Opened) -> None:
    one, other = open_tab("two people: 甲"), open_tab("two people: 乙", apart=True)
    assert one.item == other.item
    one.press("a")
    other.press("d")
    assert (one.said, other.said) == (["accept"], ["delete"])
    other.page.click("#who-open")
    other.page.fill("#name", "two people: 丙")
    other.page.keyboard.press("Enter")
    other.page.wait_for_selector("#who-open:has-text('丙')")
    other.page.wait_for_selector("#counted:has-text('0 of')")
    same = open_tab("two people: 丁")  # in the same browser
    same.press("s")
    other.page.reload()
    other.ready()
    assert other.text("who-open") == "two people: 丙", "each tab is of the one who took it"


def test_hostile_texts_are_texts(open_tab: Opened) -> None:
    tab = open_tab()
    title = tab.page.title()
    tab.filter("markup")
    assert tab.text("text").startswith("<script>document.title='taken'</script><img src=x")
    assert tab.page.locator("#text script, #text img, #text b").count() == 0 and tab.page.title() == title
    tab.filter("right to left")
    assert "U+202E" in tab.text("text"), "what turns a text around is shown"
    tab.filter("control")
    assert all(mark in tab.text("text") for mark in ("U+0007", "U+0000", "U+001B", "U+200B"))
    for theme in ("long", "endless"):
        tab.filter(theme)
        assert len(tab.page.locator("#text").text_content()) == 100_000
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.press("e")
    tab.page.evaluate("document.querySelector('#box').setRangeText('new ', 0, 0)")
    tab.page.locator("#box").dispatch_event("input")
    tab.press("Control+Enter")
    assert tab.said == ["edit"]


def test_another_page_reaches_nothing(server: Server, open_tab: Opened) -> None:
    tab = open_tab()
    reply = tab.page.goto(f"http://evil.example:{server.port}/")
    assert reply is not None and reply.status == 421, "a name that was made to lead here"
    tab.page.route("http://elsewhere.example/**", lambda route: route.fulfill(body="<h1>elsewhere</h1>"))
    tab.page.goto("http://elsewhere.example/")
    tried = tab.page.evaluate(
        """async (url) => {
          const tries = [
            () => fetch(`${url}api/view?reviewer=x`),
            () => fetch(`${url}api/export`, { method: "POST", body: "{}", mode: "no-cors" }),
            () => fetch(`${url}api/export`, { method: "POST", body: "{}",
              headers: { "content-type": "application/json" } }),
          ];
          const ends = [];
          for (const attempt of tries) {
            try { const reply = await attempt(); ends.push(reply.type + reply.status); } catch { ends.push("refused"); }
          }
          return ends;
        }""",
        server.url,
    )
    assert tried[0] == tried[2] == "refused" and tried[1] in ("refused", "opaque0")
    assert not (server.file.parent / "s.review").exists(), "what answers nothing readable did nothing either"
    tab.troubles.clear()  # the browser's own words on what it refused


def test_light_dark_and_names_for_all_that_can_be_reached(open_tab: Opened) -> None:
    tab = open_tab()
    paper = "getComputedStyle(document.body).backgroundColor"
    tab.page.emulate_media(color_scheme="light")
    light = tab.page.evaluate(paper)
    tab.page.emulate_media(color_scheme="dark")
    assert tab.page.evaluate(paper) != light
    named: Sequence[str] = tab.page.evaluate(
        """() => Array.from(document.querySelectorAll("button, input, select, textarea, progress, dialog"))
          .filter((each) => !(each.textContent.trim() || each.ariaLabel || each.labels?.length
            || each.getAttribute("aria-labelledby")))
          .map((each) => each.id)"""
    )
    assert list(named) == []
    live = tab.page.locator("[aria-live=polite]").count()
    assert live >= 3 and tab.page.get_attribute("#message", "role") == "alert"
    tab.press("a")
    assert tab.page.text_content("#status") == f"Accepted. {MANY - 1} left."
    assert tab.page.title() == "Review" and tab.item not in tab.page.url
