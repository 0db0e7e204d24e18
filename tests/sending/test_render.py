"""Every shipped template in every language, with all data and with none; filters; and what a template may not do."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from models.scenario import SendStep
from pipeline.scenario.compile import read_scenarios
from pipeline.scenario.sources import PlanSources
from pipeline.scenario.walking import walk
from pipeline.sending.outcome import Message
from pipeline.sending.render import Renderer, RenderError
from pipeline.templating import day_text, money_text
from tests.sending.build import PLAN, T0, command, full_command, shipped

SHIPPED = shipped()
STEPS = sorted({name.rsplit(".", 2)[0] for name in SHIPPED.files if re.search(r"\.(en|fr)\.(txt|mjml)$", name)})
ITEMS = [
    {
        "product_id": "p1",
        "name": 'Mug "Été" <rouge>',
        "price": 1_250,
        "quantity": 2,
        "image": "https://shop.example/p1.jpg",
        "url": "https://shop.example/p1?a=1&b=2",
    },
    {"product_id": "p2"},
]
FULL: dict[str, Any] = {
    "first_name": "Noé",
    "items": ITEMS,
    "total": 102_000,
    "link": "https://shop.example/cart?c=1&d=2",
    "order_id": "o-77",
    "carrier": "Colis",
    "tracking": "https://shop.example/parcel",
    "expected": T0,
    "due_on": T0,
    "amount": 2_500,
    "instalment": 2,
    "categories": ["mugs", "plates"],
    "category": "mugs",
    "offers": ITEMS,
}
# What the engine always gives for these scenarios; every other value may be missing.
LEAST: dict[str, Any] = {"order_id": "o-77"}


class Tags(HTMLParser):
    """Checks that tags close in order, and gathers pictures and links."""

    VOID = frozenset({"meta", "br", "img"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "img":
            self.images.append(said)
        if tag == "a":
            self.links.append(said.get("href"))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


def rendered(step: str, language: str, data: dict[str, Any], **more: Any) -> Message:
    scenario, name = step.split("/")
    return Renderer(SHIPPED).render(full_command(scenario, name, language, data, **more), T0)


def read(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    tags.close()
    assert tags.open == []
    return tags


def sends_on(channel: str) -> set[str]:
    return {
        f"{name}/{step.send}"
        for name, (_, spec, _) in read_scenarios(SHIPPED)[0].items()
        for _, step in walk(spec.steps)
        if isinstance(step, SendStep) and channel in {step.channel, *step.channels}
    }


def test_the_shipped_scenarios_have_templates_for_every_send() -> None:
    assert sends_on("email") == set(STEPS)
    for step in STEPS:
        for language in ("en", "fr"):
            assert {f"{step}.{language}.{kind}" for kind in ("txt", "mjml")} <= SHIPPED.files.keys()
    assert {f"{step}.en.json" for step in sends_on("webhook")} <= SHIPPED.files.keys()
    every = sum(text.count("- send: ") for path, text in SHIPPED.files.items() if path.endswith("scenario.yaml"))
    assert every == len(sends_on("email")) + len(sends_on("webhook")), "a channel that this test does not know"


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("data", [FULL, LEAST], ids=["full", "least"])
@pytest.mark.parametrize("step", STEPS)
def test_every_template_renders_clean_with_all_data_and_with_the_least(
    step: str, language: str, data: dict[str, Any]
) -> None:
    message = rendered(step, language, data)
    tags = read(message.html)
    for text in (message.subject, message.text, message.html):
        assert not re.search(r"\{\{|\{%|\bNone\b|\bnil\b|\bTrue\b|,\s*,|\( *\)|Liquid", text), text
    assert message.subject and "Example" in message.text and "Example" in message.html
    assert all(image.get("alt") for image in tags.images), "a picture without a text for those who do not see it"
    assert all(link and link.startswith("https://") for link in tags.links), tags.links
    assert f'<html lang="{language}"' in message.html


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("step", STEPS)
def test_the_text_part_says_what_the_html_part_says(step: str, language: str) -> None:
    message = rendered(step, language, FULL)
    links = {link for link in read(message.html).links if link} - {ITEMS[0]["url"]}
    assert all(link in message.text for link in links), links
    for word in ("Mug", "p2", "o-77", "Colis", "plates", "Noé"):
        assert (word in message.html) == (word in message.text), word


@pytest.mark.parametrize("step", STEPS)
def test_french_says_it_in_french(step: str) -> None:
    english, french = rendered(step, "en", FULL), rendered(step, "fr", FULL)
    assert english.subject != french.subject
    assert english.text != french.text


def test_names_of_products_are_escaped_in_html_and_plain_in_text() -> None:
    message = rendered("abandoned-cart/reminder", "en", FULL)
    assert "Mug &#34;Été&#34; &lt;rouge&gt;" in message.html
    assert 'Mug "Été" <rouge>' in message.text
    assert "€1,020.00" in message.text and "€12.50" in message.html


@pytest.mark.parametrize("purpose", ["marketing", "transactional"])
def test_only_marketing_offers_to_unsubscribe(purpose: str) -> None:
    overrides = '{"senders.email.unsubscribe_url": "https://shop.example/u"}'
    renderer = Renderer(PlanSources({**SHIPPED.files, "overrides.json": overrides}))
    found = renderer.render(full_command("purchase", "review", "en", FULL, purpose=purpose), T0)
    assert (found.unsubscribe_url is not None) == (purpose == "marketing")
    assert ("Unsubscribe" in found.html) == ("Unsubscribe" in found.text) == (purpose == "marketing")


@pytest.mark.parametrize(
    ("asked", "store", "got"), [("fr", "en", "Bonjour"), ("de", "fr", "Bonjour"), ("de", "en", "Hello")]
)
def test_the_language_falls_back_to_the_stores_then_to_english(asked: str, store: str, got: str) -> None:
    renderer = Renderer(PlanSources({**SHIPPED.files, "overrides.json": f'{{"language": "{store}"}}'}))
    assert got in renderer.render(full_command("welcome", "thanks", asked, FULL), T0).text


@pytest.mark.parametrize(
    ("minor", "currency", "language", "said"),
    [
        (102_000, "EUR", "en", "€1,020.00"),
        (102_000, "EUR", "fr", "1\u202f020,00\u00a0€"),
        (-5, "USD", "en", "-$0.05"),
        (1_500, "JPY", "en", "¥1,500"),
        (1_500, "CHF", "en", "15.00 CHF"),
        (0, "EUR", "en", "€0.00"),
        (None, "EUR", "en", ""),
    ],
)
def test_money_reads_as_people_write_it(minor: int | None, currency: str, language: str, said: str) -> None:
    assert money_text(minor, currency, language) == said


@pytest.mark.parametrize(
    ("moment", "zone", "language", "said"),
    [
        (1_767_222_000_000, "Europe/Paris", "fr", "1er janvier 2026"),
        (1_767_222_000_000, "UTC", "en", "December 31, 2025"),
        (None, "UTC", "en", ""),
    ],
)
def test_a_day_is_the_stores_own(moment: int | None, zone: str, language: str, said: str) -> None:
    assert day_text(moment, zone, language) == said


@pytest.mark.parametrize(
    "text",
    [
        "{{ total | divided_by: 0 }}",
        "{{ total | no_such_filter }}",
        "{% for n in (1..999999999) %}{{ n }}{% endfor %}",
        "{% for n in (1..9999) %}" + "x" * 100 + "{% endfor %}",
        "{% include '../settings.yaml' %}",
        "{% include 'nowhere.txt' %}",
        "{% if %}",
        "{{ expected | day }}",
    ],
)
def test_a_template_that_goes_wrong_ends_that_command_and_says_where(text: str) -> None:
    sources = PlanSources({**PLAN.files, "cart/hello.en.txt": f"---\nsubject: Hello\n---\n{text}"})
    one = command(data={"total": 1, "expected": 10**30})
    with pytest.raises(RenderError, match=r"^cart/hello\.en\.txt: "):
        Renderer(sources).render(one, T0)


@pytest.mark.parametrize("subject", ["{{ name }}", "", "{{ nothing }}"])
def test_a_subject_with_a_line_break_or_without_words_is_refused(subject: str) -> None:
    sources = PlanSources({**PLAN.files, "cart/hello.en.txt": f'---\nsubject: "{subject}"\n---\nx'})
    with pytest.raises(RenderError, match="subject"):
        Renderer(sources).render(command(data={"name": "a\r\nBcc: all@shop.example"}), T0)


def test_what_a_customer_wrote_is_no_template() -> None:
    message = Renderer(PLAN).render(command(data={"name": "{{ store.url }}{% include 'settings.yaml' %}"}), T0)
    assert "{{ store.url }}" in message.text


def test_a_missing_template_is_named() -> None:
    with pytest.raises(RenderError, match="cart/nowhere is missing in en"):
        Renderer(PLAN).render(command(template="cart/nowhere"), T0)


def test_the_cross_sell_shows_what_goes_with_the_cart_where_the_catalogue_knows_it() -> None:
    offers = [{"product_id": "p9", "name": "Lamp", "price": 4_000}]
    for language in ("en", "fr"):
        message = rendered("abandoned-cart/cross_sell", language, {"items": ITEMS, "offers": offers})
        assert "Lamp" in message.text and "p2" not in message.text
        assert "Lamp" in message.html and "p2" not in message.html
        plain = rendered("abandoned-cart/cross_sell", language, {"items": ITEMS, "offers": []})
        assert "p2" in plain.text and "p2" in plain.html
