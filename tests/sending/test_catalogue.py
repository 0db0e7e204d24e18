"""What a message shows of the store's goods: lookups, items as they are now, and goods that are gone."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from models.catalogue import Product, Ranking
from models.command import Command, Lookup
from pipeline.scenario.sources import PlanSources
from pipeline.sending.catalogue import NOTHING, Catalogue, Goods
from pipeline.sending.catalogue_files import FileGoods
from pipeline.sending.catalogue_rows import RowError, decode_row, encode_row
from pipeline.sending.render import Renderer
from pipeline.sending.stage import SenderStage
from tests.sending.build import T0, Bench, command, mark

SHOP = Catalogue.of(
    [
        Product(
            product_id="mug", name="Mug", price=Decimal("12.5"), category="kitchen", url="https://shop.example/mug"
        ),
        Product(product_id="bowl", name="Bowl", price=Decimal(20), category="kitchen"),
        Product(product_id="jug", name="Jug", category="kitchen", stock=0),
        Product(product_id="lamp", name="Lamp", category="light"),
        Product(product_id="wick", name="Wick", category="light", in_stock=False),
        Ranking(list="related", of="mug", products=("jug", "bowl", "mug", "nobody")),
        Ranking(list="related", of="lamp", products=("wick", "bowl", "mug")),
        Ranking(list="new", of="kitchen", products=("bowl", "mug")),
        Ranking(list="new", of="light", products=("lamp",)),
        Ranking(list="new", products=("lamp", "bowl")),
        Ranking(list="popular", of="kitchen", products=("mug",)),
        Ranking(list="popular", products=("jug", "mug", "lamp", "bowl")),
    ],
    "v7",
)
LINE = "{% for one in goods %}[{{ one.name }} {{ one.price | money }}]{% endfor %}{{ goods.name }}\n"
PLAN = PlanSources(
    {"settings.yaml": "{}", "cart/hello.en.txt": f'---\nsubject: "Hello"\n---\n{LINE}', "cart/hello.en.html": "<p></p>"}
)


class Held:
    """A catalogue that is replaced by hand."""

    def __init__(self, catalogue: Catalogue = SHOP):
        self.catalogue = catalogue

    def now(self) -> Catalogue:
        return self.catalogue


def asking(ask: str, **more: Any) -> Command:
    said = {name: more.pop(name) for name in ("purpose", "require", "data") if name in more}
    return command(1, **{"data": {}, **said}, lookups={"goods": Lookup(ask=ask, **more)})


def text(of: Command, goods: Goods | None = None) -> str:
    return Renderer(PLAN, goods=goods or Held()).render(of, T0).text.strip()


def found(ask: str, **more: Any) -> list[str]:
    value = SHOP.fill(asking(ask, **more), "EUR").data["goods"]
    return [one["product_id"] for one in value]


def test_related_goods_are_in_stock_known_and_not_those_asked_about() -> None:
    assert found("related", products=["mug"], count=5) == ["bowl"]
    assert found("related", products=["mug", "lamp"], count=5) == ["bowl"]
    assert found("related", products=["lamp"], without=["mug"], count=5) == ["bowl"]
    assert found("related", products=["lamp"], count=1) == ["bowl"]


def test_new_ones_come_from_the_categories_in_turn_and_from_all_where_none_is_named() -> None:
    assert found("new_products", categories=["kitchen", "light"], count=3) == ["bowl", "lamp", "mug"]
    assert found("new_products", categories=[], count=3) == ["lamp", "bowl"]
    assert found("new_products", categories=["garden"], count=3) == []
    assert found("new_products", categories=["kitchen"], without=["bowl"], count=3) == ["mug"]


def test_popular_ones_are_the_customers_then_the_stores() -> None:
    assert found("popular", categories=["kitchen"], count=3) == ["mug", "lamp", "bowl"]
    assert found("popular", categories=[], count=2) == ["mug", "lamp"]


def test_favourites_are_the_customers_own_as_far_as_they_can_be_had() -> None:
    assert found("favourites", products=["wick", "lamp", "jug", "bowl"], count=3) == ["lamp", "bowl"]


def test_a_template_sees_products_as_it_sees_items() -> None:
    assert text(asking("popular", categories=["kitchen"], count=2)) == "[Mug €12.50][Lamp ]"
    assert text(asking("product", products=["mug"])).endswith("]Mug")
    assert SHOP.fill(asking("product", products=["mug"]), "EUR").data["goods"] == {
        "product_id": "mug", "name": "Mug", "price": 1250, "category": "kitchen", "url": "https://shop.example/mug",
        "in_stock": True,
    }  # fmt: skip


@pytest.mark.parametrize("ask", ["product", "related", "favourites", "new_products", "popular"])
def test_without_a_catalogue_there_are_no_goods_and_templates_render(ask: str) -> None:
    of = asking(ask, products=["mug"], count=3)
    assert text(of, Held(NOTHING)) == ""
    assert Renderer(PLAN, goods=Held(NOTHING)).render(of, T0).catalogue == ""


ITEM = {"product_id": "mug", "name": "Old mug", "price": 900, "quantity": 2}


def test_marketing_shows_items_as_the_catalogue_has_them_now() -> None:
    assert text(command(1, data={"goods": [ITEM, {"product_id": "gone", "name": "Gone"}]})) == "[Mug €12.50][Gone ]"


def test_a_confirmation_keeps_what_was_bought_and_gets_what_the_event_did_not_say() -> None:
    of = command(1, purpose="transactional", data={"goods": [ITEM, {"product_id": "bowl"}]})
    assert text(of) == "[Old mug €9.00][Bowl €20.00]"


def test_data_that_is_no_goods_stays_as_it_is() -> None:
    data = {"a": 1, "b": ["x"], "c": {"product": "mug"}, "d": [{"product_id": 7}], "e": None}
    assert SHOP.fill(command(1, data=data), "EUR").data == data
    assert Renderer(PLAN, goods=Held()).render(command(1, data=data), T0).catalogue == ""


def items(*names: str) -> list[dict[str, str]]:
    return [{"product_id": name, "name": name} for name in names]


def test_what_is_gone_is_left_out_where_stock_is_required() -> None:
    wanted = {"data": {"goods": items("jug", "mug", "unknown")}}
    assert text(command(1, require=["in_stock"], **wanted)) == "[Mug €12.50][unknown ]"
    assert text(command(1, **wanted)) == "[Jug ][Mug €12.50][unknown ]"


@pytest.mark.parametrize(
    ("more", "gone"),
    [
        ({"data": {"goods": items("jug", "wick")}}, True),
        ({"data": {"goods": items("jug", "mug")}}, False),
        ({"data": {"goods": items("jug", "unknown")}}, False),
        ({"data": {"goods": []}}, False),
        ({"data": {}, "lookups": {"goods": Lookup(ask="product", products=["wick"])}}, True),
        ({"data": {}, "lookups": {"goods": Lookup(ask="related", products=["wick"], count=2)}}, False),
    ],
)
def test_a_message_is_out_of_stock_when_all_its_goods_are_gone(more: dict[str, Any], gone: bool) -> None:
    assert SHOP.gone(command(1, require=["in_stock"], **more)) is gone
    assert not SHOP.gone(command(1, **more))
    assert not NOTHING.gone(command(1, require=["in_stock"], **more))


def bench(goods: Goods) -> Bench:
    found = Bench()
    stage = SenderStage("email", found.provider, lambda name: Renderer(PLAN, goods=goods), goods=goods)
    found.lane.stage = stage
    return found


def test_the_sender_drops_a_message_whose_goods_are_gone_and_says_so() -> None:
    shelf = Held()
    there = bench(shelf)
    gone = command(1, require=["in_stock"], data={"goods": items("jug")})
    some = command(2, require=["in_stock"], data={"goods": items("jug", "mug")})
    plain = command(3)
    there.log.put(gone, some, plain, mark())
    asyncio.run(there.settle())
    assert (there.log.last(gone).state, there.log.last(gone).reason) == ("rejected", "out_of_stock")
    assert there.log.states(gone) == ["rejected"]
    assert [one.command for one in there.provider.calls] == [some.id, plain.id]
    assert there.provider.calls[0].text.strip() == "[Mug €12.50]"


def test_receipts_name_the_catalogue_that_a_message_was_rendered_from() -> None:
    shelf = Held()
    there = bench(shelf)
    first, second, third = asking("popular", count=1), command(2, data={"goods": items("mug")}), command(3)
    there.log.put(first, second, third, mark())
    asyncio.run(there.settle())
    assert [there.log.last(one).catalogue_version for one in (first, second, third)] == ["v7", "v7", ""]
    assert {one.state: one.catalogue_version for one in there.log.receipts if one.command == first.id} == {
        "intent": "v7", "sent": "v7",
    }  # fmt: skip


def test_a_held_message_is_judged_by_the_stock_of_the_moment_when_it_goes() -> None:
    shelf = Held()
    there = bench(shelf)
    of = command(1, require=["in_stock"], data={"goods": items("jug")})
    there.log.put(of, mark(T0 - 60_000))
    asyncio.run(there.settle())
    assert there.log.states(of) == ["held"]
    shelf.catalogue = Catalogue.of([Product(product_id="jug", name="Jug", stock=4)], "v8")
    there.log.put(mark())
    there.clock.pass_ms(1_000)
    asyncio.run(there.settle())
    assert there.log.last(of).state == "sent"
    assert there.log.last(of).catalogue_version == "v8"


ROWS = """\
{"product_id": "mug", "name": "Mug", "price": 12.10, "shelf": "A"}
{"id": 7, "name": "Bowl", "price": "20", "stock": 3}

{"list": "popular", "products": ["mug", "7"]}
"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("products.ndjson", ROWS),
        ("products.json", f"[{','.join(line for line in ROWS.splitlines() if line)}]"),
        ("products.csv", "id,name,price,stock,image\nmug,Mug,12.10,,\n7,Bowl,20,3,\n"),
    ],
)
def test_each_form_of_file_gives_the_same_goods(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    told: list[str] = []
    there = FileGoods([tmp_path / name], told.append).now()
    assert told == []
    assert there.products == {
        "mug": Product(product_id="mug", name="Mug", price=Decimal("12.10")),
        "7": Product(product_id="7", name="Bowl", price=Decimal(20), stock=3),
    }
    assert len(there.version) == 12


def test_a_changed_file_is_read_again_and_has_another_version(tmp_path: Path) -> None:
    path = tmp_path / "products.ndjson"
    goods = FileGoods([path])
    assert goods.now() is NOTHING
    path.write_text('{"product_id": "a"}\n')
    first = goods.now()
    assert goods.now() is first
    path.write_text('{"product_id": "a", "stock": 0}\n')
    assert goods.now().version != first.version
    assert goods.now().products["a"].gone
    path.unlink()
    assert goods.now() is NOTHING


def test_a_later_file_overrides_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "lists").write_text('{"product_id": "a", "name": "Seen"}\n{"list": "new", "products": ["a"]}\n')
    (tmp_path / "own").write_text('{"product_id": "a", "name": "Own"}\n')
    there = FileGoods([tmp_path / "lists", tmp_path / "own"]).now()
    assert (there.products["a"].name, there.new[""]) == ("Own", ("a",))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("nonsense", "no JSON"),
        ("[1]", "a row is an object in braces"),
        ("{}", "missing required field `product_id`"),
        ('{"product_id": ""}', "missing required field `product_id`"),
        ('{"product_id": {"a": 1}}', "`product_id`"),
        ('{"product_id": "a", "price": "much"}', "price"),
        ('{"product_id": "a", "price": NaN}', "price"),
        ('{"product_id": "a", "price": 1e30}', "price"),
        ('{"product_id": "a", "stock": "many"}', "stock"),
        ('{"list": "best", "products": []}', "best"),
        ('{"list": "new"}', "products"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_the_others_count(tmp_path: Path, row: str, why: str) -> None:
    path = tmp_path / "products.ndjson"
    path.write_text(f'{row}\n{{"product_id": "b"}}\n')
    told: list[str] = []
    assert list(FileGoods([path], told.append).now().products) == ["b"]
    assert len(told) == 1 and "products.ndjson:1: " in told[0] and why in told[0], told


def test_a_row_reads_as_it_was_written() -> None:
    for row in (Product(product_id="a", price=Decimal("0.10"), in_stock=False), Ranking(list="new", products=("a",))):
        assert decode_row(encode_row(row)) == row
    with pytest.raises(RowError):
        decode_row(msgspec.json.encode("text"))
