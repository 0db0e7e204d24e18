"""What a mail carries of the collector."""

import email
import re
from html import unescape

import pytest

from pipeline.scenario.sources import PlanSources
from pipeline.sending.links import CLICK, OPEN, PREFERENCES, REFERENCE, UNSUBSCRIBE, Links
from pipeline.sending.mime import to_mime
from pipeline.sending.outcome import Message
from pipeline.sending.render import Renderer
from pipeline.sending.tracking import is_web_address
from tests.sending.build import PLAN, T0, command

LINKS = Links(b"s" * 32)
BASE = "https://m.shop.example"
HTML = (
    '<html><body><a class="x" href="https://shop.example/p?a=1&amp;b=2">P</a> <a href=\'http://shop.example\'>Q</a>'
    '<a data-track="no" href="https://shop.example/terms">T</a><a href="mailto:x@shop.example">M</a>'
    '<a href="javascript:alert(1)">J</a><a name="n">N</a><a href="{{ unsubscribe_url }}">U</a>'
    '<a href="{{ preferences_url }}">P</a></body></html>'
)


def rendered(purpose: str = "marketing", html: str = HTML, **settings: str) -> Message:
    more = "".join(f", {key}: {value}" for key, value in settings.items())
    said = f"store: {{name: Shop}}\ncollector: {{url: '{BASE}/'{more}}}"
    sources = PlanSources({**PLAN.files, "settings.yaml": said, "cart/hello.en.html": html})
    return Renderer(sources, LINKS).render(command(1, purpose=purpose), T0)


def hrefs(message: Message) -> list[str]:
    return [unescape(found) for found in re.findall(r"""href=["']([^"']*)""", message.html)]


def test_web_links_lead_over_the_collector_to_where_they_led_and_others_stay() -> None:
    product, home, terms, mail, script, stop, wishes = hrefs(rendered())
    assert LINKS.open(CLICK, product.removeprefix(f"{BASE}/c/")).url == "https://shop.example/p?a=1&b=2"
    assert LINKS.open(CLICK, home.removeprefix(f"{BASE}/c/")).url == "http://shop.example"
    assert (terms, mail, script) == ("https://shop.example/terms", "mailto:x@shop.example", "javascript:alert(1)")
    about = LINKS.open(UNSUBSCRIBE, stop.removeprefix(f"{BASE}/u/"))
    assert (about.customer, about.channel, about.at) == ("c1", "email", T0)
    assert about.address == LINKS.address_hash("email", "c1@shop.example")
    assert LINKS.open(PREFERENCES, wishes.removeprefix(f"{BASE}/p/")).customer == "c1"


def test_the_pixel_stands_before_the_end_of_the_body_and_is_a_token_of_its_own() -> None:
    found = re.search(rf'<img src="{BASE}/o/([^"]+)\.gif" width="1" height="1" alt=""></body></html>$', rendered().html)
    assert found is not None
    assert LINKS.open(OPEN, found.group(1)).command == command(1).id
    assert "/o/" in rendered(html="<p>no body</p>").html


def test_marketing_has_the_one_click_pair_and_transactional_mail_has_not() -> None:
    mail = email.message_from_bytes(to_mime(rendered()))
    assert (
        mail["List-Unsubscribe"].startswith(f"<{BASE}/u/")
        and mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    )
    bill = email.message_from_bytes(to_mime(rendered("transactional")))
    assert bill["List-Unsubscribe"] is None and bill["List-Unsubscribe-Post"] is None


def test_opens_and_clicks_can_each_be_left_out() -> None:
    quiet = rendered(opens="false", clicks="false")
    assert "/o/" not in quiet.html and "/c/" not in quiet.html and "/u/" in quiet.html


def test_a_provider_gets_a_reference_that_names_nobody() -> None:
    found = rendered().reference
    assert LINKS.open(REFERENCE, found).customer == "c1"
    assert "c1" not in found or len(found) > 60


def test_without_a_collector_or_a_secret_nothing_is_rewritten() -> None:
    plain = Renderer(PLAN, LINKS).render(command(1), T0)
    assert (plain.html, plain.reference, plain.unsubscribe_url) == ("<p>Hello you</p>", "", None)
    said = PlanSources({**PLAN.files, "settings.yaml": f"collector: {{url: '{BASE}'}}"})
    assert Renderer(said).render(command(1), T0).html == "<p>Hello you</p>"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "https:/evil", "https://a@evil.example/", "ftp://x",
                                 "https://shop.example/\r\nX: y", 'https://shop.example/"', "http://", "https://x/" + "y" * 2000])  # fmt: skip
def test_what_is_no_address_of_the_web_is_never_redirected_to(url: str) -> None:
    assert not is_web_address(url)
