"""Who may do what from the pages, and what the run hears of it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from starlette.routing import Route

from agents.console.tokens import TokenBook
from models.journal import ScenarioSwitched
from pipeline.runtime.folder import Folder
from pipeline.runtime.operator import EraseSaid, HandedOn, said
from tests.acceptance.running import lines_of
from tests.console.kit import Desk, do, opened, run_history

ODD = "<b>ö/ü?#% &'\"\\;"
CART = {"type": "cart_updated", "occurred_at": "2026-01-05T10:00:00Z", "items": [{"product_id": "p1", "price": 20}]}
ACTIONS = {
    "/do/switch": {"scenario": "abandoned-cart", "state": "paused"},
    "/do/release": {"scenario": "abandoned-cart"},
    "/do/erase": {"customer": ODD, "again": ODD},
    "/do/export": {"customer": ODD},
    "/do/replay": {"letters": "0/0"},
}
ROLE = {"/do/switch": "edit", "/do/release": "send", "/do/erase": "erase", "/do/export": "erase", "/do/replay": "send"}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("actions")
    rows = [
        {**CART, "customer": "c1"},
        {**CART, "customer": ODD},
        {"type": "order_placed", "customer": "c2", "order_id": "o1", "total": 5},
    ]
    run_history(folder, "".join(json.dumps(row) + "\n" for row in rows))
    return folder / "d"


@pytest.fixture(scope="module")
def served(history: Path) -> Iterator[Desk]:
    with opened(history) as one:
        yield one


@pytest.fixture
def desk(served: Desk) -> Iterator[Desk]:
    yield served
    shutil.rmtree(served.folder.path / "operator", ignore_errors=True)


def heard(desk: Desk) -> list[object]:
    return [word for _, word in said(desk.folder.path)]


def test_every_route_that_changes_something_is_among_those_tested(desk: Desk) -> None:
    changing = {one.path for one in desk.app.routes if isinstance(one, Route) and "POST" in (one.methods or ())}
    assert changing == {*ACTIONS, "/login", "/logout"}


@pytest.mark.parametrize("path", ACTIONS)
def test_without_the_role_an_action_is_refused_audited_and_not_done(desk: Desk, path: str) -> None:
    others = [role for role in ("see", "edit", "send", "erase") if role != ROLE[path]]
    answer = do(desk.person(*others), path, **ACTIONS[path])
    assert answer.status_code == 403
    assert heard(desk) == []
    assert f"refused: needs the role {ROLE[path]}" in (desk.folder.path / "audit.ndjson").read_text()


@pytest.mark.parametrize("path", ACTIONS)
def test_with_the_role_alone_an_action_is_done(desk: Desk, path: str) -> None:
    assert do(desk.person("see", ROLE[path]), path, **ACTIONS[path]).status_code in {200, 303}


@pytest.mark.parametrize("path", ACTIONS)
@pytest.mark.parametrize(
    "head", [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_a_request_that_another_site_sends_is_refused(desk: Desk, path: str, head: dict[str, str]) -> None:
    answer = desk.person().post(path, data=ACTIONS[path], headers=head)
    assert answer.status_code == 403
    assert heard(desk) == []


@pytest.mark.parametrize("path", ACTIONS)
@pytest.mark.parametrize("mark", ["", "0" * 64])
def test_a_form_without_the_mark_of_its_session_is_refused(desk: Desk, path: str, mark: str) -> None:
    answer = desk.person().post(path, data={"mark": mark, **ACTIONS[path]})
    assert answer.status_code == 403
    assert heard(desk) == []


@pytest.mark.parametrize("path", ACTIONS)
def test_without_a_session_an_action_says_what_any_other_path_says(desk: Desk, path: str) -> None:
    answers = [desk.nobody().post(one, data=ACTIONS[path]) for one in (path, "/do/nothing")]
    assert {(one.status_code, one.text) for one in answers} == {(401, "401: open the address that the run printed\n")}


def test_the_mark_of_one_session_does_not_hold_in_another(desk: Desk) -> None:
    from tests.console.kit import mark_of

    other = mark_of(desk.person())
    answer = desk.person().post("/do/switch", data={"mark": other, **ACTIONS["/do/switch"]})
    assert answer.status_code == 403


def test_a_pause_is_heard_and_stands_in_the_audit(desk: Desk) -> None:
    browser = desk.person()
    assert do(browser, "/do/switch", scenario="*", state="paused").headers["location"] == "/control"
    [word] = heard(desk)
    assert isinstance(word, ScenarioSwitched)
    assert (word.scenario, word.state) == ("*", "paused")
    page = browser.get("/audit").text
    assert "operator" in page and "pause" in page


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/do/switch", {"scenario": "no-such", "state": "paused"}),
        ("/do/switch", {"scenario": "*", "state": "exploded"}),
        ("/do/erase", {"customer": "c1", "again": "c2"}),
        ("/do/erase", {"customer": "", "again": ""}),
        ("/do/replay", {"letters": "x/y"}),
        ("/do/replay", {"letters": ""}),
    ],
)
def test_a_wrong_form_does_nothing(desk: Desk, path: str, fields: dict[str, str]) -> None:
    assert do(desk.person(), path, **fields).status_code == 400
    assert heard(desk) == []


def test_a_customer_of_any_letters_is_erased_and_the_audit_does_not_name_them(desk: Desk) -> None:
    browser = desk.person()
    answer = do(browser, "/do/erase", customer=ODD, again=ODD)
    assert answer.status_code == 303
    [word] = heard(desk)
    assert isinstance(word, EraseSaid)
    assert word.customer == ODD
    assert ODD not in (desk.folder.path / "audit.ndjson").read_text()
    assert "erase" in browser.get("/audit", params={"customer": ODD}).text.split("<tbody>")[1]
    assert "<tbody>" not in browser.get("/audit", params={"customer": "c1"}).text
    assert browser.get(answer.headers["location"]).status_code == 200


def test_after_the_run_has_heard_it_nothing_of_the_erased_is_in_its_state(tmp_path: Path) -> None:
    lines = json.dumps({**CART, "customer": "c1"}) + "\n"
    run_history(tmp_path, lines)
    with opened(tmp_path / "d") as desk:
        do(desk.person(), "/do/erase", customer="c1", again="c1")
    run_history(tmp_path, lines)
    with opened(tmp_path / "d") as desk:
        assert json.loads(do(desk.person(), "/do/export", customer="c1").content)["customer"] is None


def test_an_export_has_state_and_history(desk: Desk) -> None:
    answer = do(desk.person(), "/do/export", customer="c1")
    assert answer.headers["content-disposition"] == 'attachment; filename="customer.json"'
    found = json.loads(answer.content)
    assert found["customer"]["cart"]["total"] == 2000
    assert {one["kind"] for one in found["timeline"]} >= {"event", "decision"}


def test_what_cannot_be_audited_is_not_done(desk: Desk) -> None:
    browser, path = desk.person(), desk.folder.path / "audit.ndjson"
    path.rename(path.with_suffix(".aside"))
    path.mkdir()
    try:
        assert do(browser, "/do/switch", scenario="*", state="paused").status_code == 503
        assert heard(desk) == []
    finally:
        path.rmdir()
        path.with_suffix(".aside").rename(path)


def test_the_audit_is_its_owners_alone_and_a_line_that_a_crash_cut_off_hides_no_other(desk: Desk) -> None:
    browser = desk.person()
    do(browser, "/do/switch", scenario="*", state="paused")
    path = desk.folder.path / "audit.ndjson"
    assert path.stat().st_mode & 0o077 == 0
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"at":1,"wh')
    assert "pause" in browser.get("/audit").text.split("<tbody>")[1]
    path.write_bytes(whole)


def test_a_token_that_is_taken_away_ends_its_sessions(desk: Desk) -> None:
    book = TokenBook(desk.folder.path)
    before = {one.name for one in book.names()}
    browser = desk.person("see")
    assert browser.get("/health").status_code == 200
    [name] = {one.name for one in book.names()} - before
    book.remove(name)
    assert browser.get("/health").status_code == 401


def test_signing_out_ends_the_session_also_of_a_copied_cookie(desk: Desk) -> None:
    browser = desk.person()
    copy = dict(browser.cookies)
    assert do(browser, "/logout").status_code == 303
    again = desk.nobody()
    again.cookies.update(copy)
    assert again.get("/health").status_code == 401


def test_a_viewer_sees_no_buttons_and_no_record_of_a_customer(desk: Desk) -> None:
    viewer = desk.person("see")
    for path in ("/control", "/dead-letters", "/customer/c1"):
        assert "/do/" not in viewer.get(path).text
    assert "order_placed" not in viewer.get("/dead-letters/0/0").text
    assert "order_placed" in desk.person("send").get("/dead-letters/0/0").text


def test_a_dead_letter_is_read_again_after_its_cause_was_mended(desk: Desk) -> None:
    browser = desk.person()
    page = browser.get("/dead-letters").text
    assert "occurred_at" in page
    answer = do(browser, "/do/replay", letters="0/0")
    assert answer.headers["location"] == "/dead-letters?gave=0&still=1"
    assert heard(desk) == []
    mend(desk.folder, occurred_at="2026-01-05T10:00:00Z")
    answer = do(browser, "/do/replay", letters="0/0")
    assert answer.headers["location"] == "/dead-letters?gave=1&still=0"
    [word] = heard(desk)
    assert isinstance(word, HandedOn)
    [event] = word.dated()
    assert (event.customer, event.occurred_at) == ("c2", 1767607200000)


def mend(folder: Folder, **fields: str) -> None:
    """Let the record be read otherwise, as a mended mapping would: here by a mended letter."""
    from models.dead_letter import DeadLetter
    from pipeline.runtime.folder import stream_key
    from pipeline.runtime.letters import letter_at

    one = letter_at(folder, 0)
    assert isinstance(one, DeadLetter)
    value = json.dumps({**json.loads(one.value or b""), **fields}).encode()
    folder.db[stream_key("dead-letters", 0)] = msgspec.json.encode(msgspec.structs.replace(one, value=value))


def test_the_command_line_replays_too_and_the_next_run_applies_it(tmp_path: Path) -> None:
    from tests.acceptance.running import parcours

    rows = [{**CART, "customer": "c1"}, {**CART, "customer": "c2", "type": "newsletter_read"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    run_history(tmp_path, lines)
    data = ("--data", tmp_path / "d")
    [letter] = lines_of("deadletters", "ls", *data)
    assert lines_of("deadletters", *data) == [letter]
    place = f"{letter['source']}/{letter['partition']}/{letter['offset']}"
    assert "newsletter_read" in parcours("deadletters", "show", place, *data).stdout
    still = parcours("deadletters", "replay", place, *data)
    assert (still.returncode, still.stdout.split(":")[0]) == (1, "1 read again")
    run_history(tmp_path, lines, "\nevents: {newsletter_read: {}}\n")
    done = parcours("deadletters", "replay", "--all", *data)
    assert "1 read again: 1 events go into the log, 0 still" in done.stdout, done.stderr + done.stdout
    run_history(tmp_path, lines, "\nevents: {newsletter_read: {}}\n")
    assert [row["id"] for row in lines_of("customer", "--all", *data)] == ["c1", "c2"]
