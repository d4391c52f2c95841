from __future__ import annotations

import io
import json

import pytest
from docx import Document

from core.errors import InvalidInputError
from rag.chunking import MAX_TOKENS, chunks_of
from rag.loaders import load
from rag.loaders.function_docs import read_function_docs


def one(data: bytes, name: str):
    pages = load(data, name)
    assert len(pages) == 1
    return pages[0]


def test_markdown_sections_have_heading_paths_and_lines():
    text = "# Guide\nintro\n\n## Setup\nstep one\n```\n# no heading\n```\n\n## Use\n### Daily\nrun it\n"
    page = one(text.encode(), "guide.md")
    assert page.title == "Guide"
    assert [section.headings for section in page.sections] == [
        ("Guide",),
        ("Guide", "Setup"),
        ("Guide", "Use", "Daily"),
    ]
    setup = page.sections[1]
    assert "# no heading" in setup.text
    assert text.split("\n")[setup.first_line - 1] == "step one"


def test_chinese_text_in_gb18030_is_read_and_its_language_known():
    page = one("# 说明\n滑动窗口的平均值".encode("gb18030"), "notes.md")
    assert page.language == "zh"
    assert "滑动窗口" in page.sections[0].text


def test_html_leaves_scripts_and_navigation_out():
    html = b"""<html><head><title>T</title><style>p{}</style></head><body><nav><p>menu</p></nav>
    <h1>Rates</h1><p>First <b>bold</b>.</p><script>alert(1)</script><h2>Daily</h2><pre>x = 1
y = 2</pre></body></html>"""
    page = one(html, "rates.html")
    text = "\n".join(section.text for section in page.sections)
    assert "First bold" in text
    assert "x = 1\ny = 2" in text
    assert "menu" not in text
    assert "alert" not in text
    assert page.sections[-1].headings == ("Rates", "Daily")


def test_html_in_gb18030_with_and_without_saying_so():
    for head in ("", '<meta charset="gb18030">'):
        page = one(f"{head}<p>滑动窗口</p>".encode("gb18030"), "a.html")
        assert page.sections[0].text == "滑动窗口"


def test_docx_headings_paragraphs_and_tables():
    document = Document()
    document.add_heading("Policy", 1)
    document.add_paragraph("Keep ninety days.")
    table = document.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "days", "90"
    buffer = io.BytesIO()
    document.save(buffer)
    page = one(buffer.getvalue(), "policy.docx")
    assert page.sections[0].headings == ("Policy",)
    assert "Keep ninety days." in page.sections[0].text
    assert "days | 90" in page.sections[0].text


def pdf(text: str) -> bytes:
    stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(out)
    return (
        out
        + b"xref\n0 6\n0000000000 65535 f \n"
        + table
        + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % start
    )


def test_pdf_text_by_page():
    page = one(pdf("Margin call at noon"), "margin.pdf")
    assert "Margin call at noon" in page.sections[0].text
    assert page.sections[0].headings[-1] == "page 1"


def test_script_functions_with_comments_from_the_syntax_tree():
    script = """module risk
// Daily loss
// of a book.
def loss(t, level=0.95){
    return sum(t.pnl)
}
x = 1
"""
    page = one(script.encode(), "risk.dos")
    assert page.title == "risk"
    function = next(section for section in page.sections if section.headings[-1] == "loss")
    assert "Daily loss" in function.text
    assert "loss(t, level" in function.text
    assert script.split("\n")[function.first_line - 1].startswith("// Daily loss")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("broken.pdf", b"%PDF-1.4 nonsense"),
        ("broken.docx", b"PK nonsense"),
        ("docs.en.json", b'{"markdown": '),
        ("other.json", b'{"a": 1}'),
        ("binary.txt", b"\x00\xff\x00\xfe" * 50),
    ],
)
def test_unreadable_files_are_refused_in_words(name: str, data: bytes):
    with pytest.raises(InvalidInputError) as caught:
        load(data, name)
    assert str(caught.value)


def test_every_damage_to_a_docx_is_told_as_such():
    document = Document()
    document.add_paragraph("The limit is five million a day. " * 50)
    buffer = io.BytesIO()
    document.save(buffer)
    sound = buffer.getvalue()
    told = []
    for place in range(0, len(sound), len(sound) // 400):
        damaged = bytearray(sound)
        damaged[place] ^= 0xFF
        try:
            load(bytes(damaged), "limits.docx")
        except InvalidInputError as error:
            told.append(error.message)
    assert len(told) > 10
    assert all(message.startswith("The DOCX cannot be read: ") for message in told)


def test_tables_of_html_in_the_function_documentation_become_markdown():
    table = "<table><tr><th>\n\na\n\n</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
    markdown = f"### [f](u)\n\n#### Details\n\nGives\n{table}ends."
    page = read_function_docs(json.dumps({"f": {"url": "u", "signatures": [], "markdown": markdown}}), "en")[0]
    assert page.sections[-1].text == "Gives\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\nends."


def test_aliases_and_in_place_forms_share_a_topic(documentation):
    pages = read_function_docs((documentation / "docs.zh.json").read_text("utf-8"), "zh")
    topic = {page.function: page.topic for page in pages}
    assert topic["flip"] == topic["transpose"]
    assert topic["nullFill!"] == topic["nullFill"]
    assert topic["mavg"] != topic["msum"]


def test_function_page_has_signature_url_and_sections_but_no_heading_out_of_code(documentation):
    pages = read_function_docs((documentation / "docs.en.json").read_text("utf-8"), "en")
    mavg = next(page for page in pages if page.function == "mavg")
    assert mavg.signatures == ("mavg(X, window, [minPeriods])",)
    assert mavg.url.endswith("/mavg.html")
    assert [section.headings[-1] for section in mavg.sections] == ["Syntax", "Details", "Examples"]


def test_long_sections_are_cut_without_losing_or_repeating_text():
    words = [f"word{number}" for number in range(3000)]
    text = "# Long\n" + "\n\n".join(" ".join(words[start : start + 30]) for start in range(0, 3000, 30))
    page = one(text.encode(), "long.md")
    chunks = chunks_of(page, lambda part: len(part) // 4)
    assert len(chunks) > 5
    assert all(chunk.tokens <= MAX_TOKENS for chunk in chunks)
    assert " ".join(chunk.text for chunk in chunks).split() == words
    lines = text.split("\n")
    for chunk in chunks:
        assert chunk.text.split()[0] in lines[chunk.first_line - 1]


def test_json_that_is_no_table_of_functions():
    with pytest.raises(InvalidInputError):
        read_function_docs(json.dumps(["signatures", "markdown"]), "en")
