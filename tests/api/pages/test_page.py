"""The frame of a page: what is put into it stays text."""

from api.pages.page import joined, markup, page, sentence
from api.pages.sign_in import described
from api.services import SignIn

HOSTILE = "<script>alert(1)</script>\"'&{title}"


def test_a_value_stays_text_and_markup_stays_markup() -> None:
    inner = markup('<b title="{value}">{value}</b>', value=HOSTILE)
    whole = markup("<p>{inner}{again}</p>", inner=inner, again=joined([inner]))
    assert "<script" not in whole
    assert whole.count("<b ") == 2
    assert "&quot;&#x27;&amp;{title}" in whole


def test_nothing_in_a_page_is_taken_for_markup() -> None:
    for answer in (
        page(HOSTILE, markup("")),
        sentence(404, HOSTILE, HOSTILE),
        page("", markup(""), head=described(SignIn(publishable_key=HOSTILE, audit_role=HOSTILE), root=HOSTILE)),
    ):
        assert b"<script>" not in answer.body
        assert b"&lt;script&gt;" in answer.body


def test_addresses_are_relative_to_where_the_page_lies() -> None:
    for root in ("", "../"):
        text = page("", markup(""), root=root, scripts=["session.js"]).body.decode()
        assert f'href="{root}assets/look.' in text
        assert f'src="{root}assets/session.' in text
        assert 'href="/' not in text
        assert 'src="/' not in text
