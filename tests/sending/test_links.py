"""What stands in a link cannot be read, changed, or used for something else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.errors import UsageError
from pipeline.sending.links import (
    CLICK,
    OPEN,
    UNSUBSCRIBE,
    About,
    LinkError,
    Links,
    links_from_environment,
    links_of,
)

SECRET, OTHER = b"s" * 32, b"o" * 32
LINKS = Links(SECRET)
ABOUT = About("cmd", "anna@shop.example", "email", "welcome", "thanks", "marketing", 1_790_000_000_000, "ff", "fr")


def test_a_token_comes_back_as_it_was_and_the_same_twice() -> None:
    about = replace(ABOUT, url="https://shop.example/p?x=1&y=é")
    assert LINKS.open(CLICK, LINKS.seal(CLICK, about)) == about
    assert LINKS.seal(CLICK, about) == LINKS.seal(CLICK, about)


def test_a_token_shows_nothing_of_the_customer() -> None:
    import base64

    token = LINKS.seal(OPEN, ABOUT)
    assert b"anna" not in base64.urlsafe_b64decode(token + "==") and "anna" not in token


def test_a_token_is_good_for_its_own_kind_alone() -> None:
    with pytest.raises(LinkError):
        LINKS.open(UNSUBSCRIBE, LINKS.seal(OPEN, ABOUT))


@given(st.data())
def test_a_token_with_any_letter_changed_is_refused(data: st.DataObject) -> None:
    token = LINKS.seal(CLICK, ABOUT)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCXYZabcxyz0189-_=./é\n "))
    if letter == token[place]:
        return
    with pytest.raises(LinkError):
        LINKS.open(CLICK, token[:place] + letter + token[place + 1 :])


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.hex()))
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(LinkError):
        LINKS.open(CLICK, text)


def test_an_older_secret_opens_what_it_sealed_and_the_newest_seals() -> None:
    both = Links(OTHER, SECRET)
    assert both.open(OPEN, LINKS.seal(OPEN, ABOUT)) == ABOUT
    assert both.seal(OPEN, ABOUT) == Links(OTHER).seal(OPEN, ABOUT)
    assert both.address_hash("email", "a@b.example") == LINKS.address_hash("email", "a@b.example")
    with pytest.raises(LinkError):
        Links(OTHER).open(OPEN, LINKS.seal(OPEN, ABOUT))


def test_an_address_is_one_however_it_is_written_and_tells_channels_apart() -> None:
    assert LINKS.address_hash("sms", "+33 6 12 34") == LINKS.address_hash("sms", "+3361234")
    assert LINKS.address_hash("email", "Anna@Shop.example ") == LINKS.address_hash("email", "anna@shop.example")
    assert LINKS.address_hash("email", "x") != LINKS.address_hash("sms", "x")
    assert LINKS.address_hash("email", "x") != Links(OTHER).address_hash("email", "x")


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(UsageError, match="32 bytes"):
        Links(b"short")


def test_the_secret_comes_from_the_environment_a_file_or_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARCOURS_SECRET", raising=False)
    monkeypatch.delenv("PARCOURS_SECRET_FILE", raising=False)
    assert links_from_environment() is None
    made = links_of(tmp_path)
    assert (tmp_path / "secret.key").stat().st_mode & 0o077 == 0
    assert links_of(tmp_path).seal(OPEN, ABOUT) == made.seal(OPEN, ABOUT)
    (tmp_path / "said").write_text("s" * 32 + "\n")
    monkeypatch.setenv("PARCOURS_SECRET_FILE", str(tmp_path / "said"))
    found = links_from_environment()
    assert found is not None and found.seal(OPEN, ABOUT) == LINKS.seal(OPEN, ABOUT)
    monkeypatch.setenv("PARCOURS_SECRET_FILE", str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="cannot be read"):
        links_from_environment()
