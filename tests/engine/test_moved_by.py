"""Which events move which field of the profile: what the table of the rules leaves out would go unseen."""

import pytest

from models.customer import Profile
from models.event_types import PAYLOADS
from pipeline.engine import profile
from pipeline.engine.moving import PROFILE_MOVED_BY
from pipeline.engine.plan import Settings
from tests.engine.build import T0, event

DATA = {"items": [{"product_id": "p", "price": 100}], "rating": 4, "amount": 10, "total": 100}
FOREIGN = {**DATA, "currency": "XXX"}


@pytest.mark.parametrize("kind", sorted(PAYLOADS))
def test_an_event_moves_no_field_that_the_table_does_not_name(kind: str) -> None:
    for data in (DATA, FOREIGN):
        before = Profile()
        after = profile.update(before, event(kind, T0, **data), Settings())
        moved = [name for name in Profile.__struct_fields__ if getattr(before, name) != getattr(after, name)]
        assert [name for name in moved if kind not in PROFILE_MOVED_BY.get(name, (kind,))] == []
