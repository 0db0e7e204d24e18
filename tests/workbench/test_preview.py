"""A message before it goes out: from the scenario's own tests, or as a customer of a data folder would get it."""

import shutil
import struct
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agents.cli.folder import SHIPPED
from agents.cli.main import parcours as cli
from agents.picture import draw
from pipeline.engine.plan import Send
from pipeline.errors import ParcoursError, UsageError
from pipeline.sending.catalogue import NoGoods
from pipeline.sending.preview import NOWHERE, Previewer, doubts
from tests.acceptance.running import parcours

PREVIEWER = Previewer(SHIPPED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's folder after a run over its sample events."""
    made = tmp_path_factory.mktemp("store")
    said("init", made)
    (made / "scenarios/cart-reminder/reminder.en.txt").write_text(
        '---\nsubject: "Your cart"\n---\n{% for one in items %}{{ one.name }};{% endfor %} {{ unsubscribe_url }}'
    )
    events = ("--input", made / "sample-events.ndjson", "--mapping", "native", "--until-end", "--advance", "30m")
    run = parcours("run", "--plan", made / "scenarios", "--data", made / "data", *events, "--no-console")
    assert run.returncode == 0, run.stderr
    return made


def said(*words: str | Path) -> Result:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit | ParcoursError):
        raise done.exception
    return done


@pytest.mark.parametrize("scenario", sorted(PREVIEWER.plan.live))
def test_every_shipped_message_is_rendered_from_its_scenario_s_tests(scenario: str) -> None:
    sends = [op.name for op in PREVIEWER.plan.live[scenario].program if isinstance(op, Send)]
    for step in sends:
        for language in ("en", "fr"):
            message = PREVIEWER.render(PREVIEWER.from_tests(scenario, step), NoGoods(), language)
            assert message.payload is not None or message.text.strip()
            assert [one for one in doubts(message) if "way out" not in one] == []


def preview(folder: Path, *words: str | Path) -> Result:
    common = ("--step", "reminder", "--plan", folder / "scenarios", "--data", folder / "data")
    return said("preview", "cart-reminder", *common, *words)


def test_it_is_written_as_html_text_and_in_another_language(folder: Path, tmp_path: Path) -> None:
    done = preview(folder, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "subject  Your cart" in done.output
    assert "Blue mug;Green tea;" in (tmp_path / "out/cart-reminder.reminder.txt").read_text()
    html = (tmp_path / "out/cart-reminder.reminder.html").read_text()
    assert "Blue mug" in html
    assert "Back to my cart" in html
    preview(folder, "--out", tmp_path / "out", "--language", "fr")
    assert "Retrouver mon panier" in (tmp_path / "out/cart-reminder.reminder.fr.html").read_text()


def test_a_customer_inside_gets_their_own_cart_in_their_own_language(folder: Path) -> None:
    done = preview(folder, "--as", "customer-3")
    assert done.exit_code == 0, done.output
    assert "as customer-3, inside cart-reminder" in done.stderr
    assert "subject: Votre panier vous attend" in done.stdout
    assert "Blue mug x 2" in done.stdout
    assert "45,50" in done.stdout


def test_a_customer_who_is_not_inside_is_shown_with_what_is_known_of_them(folder: Path) -> None:
    done = preview(folder, "--as", "customer-2")
    assert "customer-2, who is not inside cart-reminder: the entry is that of the test 'one message" in done.stderr
    assert "subject: Your cart" in done.stdout
    assert "mug" not in done.stdout, "an order empties the cart"
    unknown = preview(folder, "--as", "nobody")
    assert isinstance(unknown.exception, UsageError)
    assert "customer 'nobody' is not known in" in str(unknown.exception)


def test_a_preview_s_way_out_unsubscribes_nobody(folder: Path) -> None:
    settings = folder / "scenarios/settings.yaml"
    before = settings.read_text()
    assert "warning: marketing mail offers no way out" in preview(folder).stderr
    try:
        settings.write_text(before + 'collector: {url: "https://m.shop.example"}\n')
        done = preview(folder, "--as", "customer-1")
    finally:
        settings.write_text(before)
    assert NOWHERE in done.stdout
    assert "m.shop.example" not in done.stdout
    assert "way out" not in done.stderr


def test_a_value_that_is_not_there_is_named(folder: Path) -> None:
    scenario = folder / "scenarios/cart-reminder/scenario.yaml"
    before = scenario.read_text()
    try:
        scenario.write_text(before + "      city: customer.city\n")
        assert "not there, and left out: city" in preview(folder, "--as", "customer-1").stderr
    finally:
        scenario.write_text(before)


@pytest.mark.parametrize(
    ("scenario", "step", "message"),
    [
        ("cart-remainder", "reminder", "no scenario 'cart-remainder'; did you mean cart-reminder?"),
        ("cart-reminder", "remainder", "cart-reminder has no send 'remainder'; did you mean reminder?"),
    ],
)
def test_a_wrong_name_is_said_with_the_nearest_right_one(folder: Path, scenario: str, step: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        Previewer(folder / "scenarios").find(scenario, step)
    assert message in str(error.value)


def test_a_step_that_no_test_comes_to_is_said(folder: Path) -> None:
    tests = folder / "scenarios/cart-reminder/scenario.test.yaml"
    before = tests.read_text()
    try:
        tests.write_text("[]\n")
        with pytest.raises(UsageError, match="no test of cart-reminder sends 'reminder': write one"):
            Previewer(folder / "scenarios").from_tests("cart-reminder", "reminder")
    finally:
        tests.write_text(before)


def size_of(path: Path) -> tuple[int, int]:
    raw = path.read_bytes()
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", raw[16:24])
    return width, height


@pytest.mark.browser
def test_a_picture_is_as_wide_as_asked_and_as_high_as_the_page_and_runs_no_script(tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium: apt-get install chromium")
    page = '<body style="margin:0"><div id="a" style="height:{}px;background:#123456"></div>'
    evil = '<script>document.getElementById("a").style.height = "9000px"</script>'
    for height in (300, 1700):
        draw(page.format(height) + evil, tmp_path / "a.png", 380, chromium)
        assert size_of(tmp_path / "a.png") == (380, height)
