"""MJML templates: put into the store's layout, compiled with their Liquid left alone, refused with a reason."""

import pytest

from pipeline.mjml import MjmlError, to_html
from pipeline.scenario.sources import PlanSources
from pipeline.sending.render import Renderer
from tests.sending.build import PLAN, T0, command

LAYOUT = '<mjml><mj-body><mj-text>{{ store.name }}</mj-text><mj-include path="content" /></mj-body></mjml>'
BODY = "<mj-section><mj-column><mj-text>Hello {{ name }}<br>you</mj-text></mj-column></mj-section>"


def compiled(body: str, **more: str) -> str:
    return to_html("a.mjml", {"a.mjml": body, "shared/layout.mjml": LAYOUT, **more})


def test_a_template_stands_in_the_layout_and_keeps_its_liquid() -> None:
    html = compiled(BODY)
    assert html.index("{{ store.name }}") < html.index("Hello {{ name }}")
    assert "</br>" not in html


def test_a_whole_document_needs_no_layout() -> None:
    html = to_html("a.mjml", {"a.mjml": f"<mjml><mj-body>{BODY}</mj-body></mjml>"})
    assert "Hello {{ name }}" in html


def test_an_include_is_put_where_it_stands() -> None:
    html = compiled(BODY + '<mj-include path="shared/more.mjml"/>', **{"shared/more.mjml": BODY.replace("you", "too")})
    assert html.index("you") < html.index("too")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<mj-section><mj-column>", "a.mjml: not MJML: "),
        ("<mj-section><mj-colum></mj-colum></mj-section>", "a.mjml: <mj-colum> is no MJML"),
        ('<mj-include path="nowhere.mjml"/>', "a.mjml: it includes nowhere.mjml, which is not there"),
        ('<mj-include path="shared/loop.mjml"/>', "a.mjml: includes nest over 5 deep"),
    ],
)
def test_what_is_no_mjml_is_refused_with_its_reason(body: str, said: str) -> None:
    with pytest.raises(MjmlError) as error:
        compiled(body, **{"shared/loop.mjml": '<mj-include path="shared/loop.mjml"/>'})
    assert str(error.value).startswith(said)


def test_without_a_layout_it_says_so() -> None:
    with pytest.raises(MjmlError, match=r"no shared/layout\.mjml"):
        to_html("a.mjml", {"a.mjml": BODY})


def test_the_renderer_prefers_mjml() -> None:
    files = {**PLAN.files, "cart/hello.en.mjml": BODY, "shared/layout.mjml": LAYOUT}
    html = Renderer(PlanSources(files)).render(command(), T0).html
    assert "Hello you" in html and "<table" in html
