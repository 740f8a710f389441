"""The pages' static files: hashed and stable addresses, media types, compression, and that an installed service has them."""

import gzip
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from api.pages.assets import MEDIA_TYPES, Assets, published

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "api" / "pages"
STATIC = [path for path in sorted(PAGES.rglob("static/*")) if path.suffix.removeprefix(".") in MEDIA_TYPES]


def test_every_static_file_has_an_address() -> None:
    assert len(STATIC) >= 5
    for path in STATIC:
        folder = "elements" if path.parent.parent.name == "elements" else "assets"
        assert re.fullmatch(
            rf"{folder}/{re.escape(path.stem)}\.[0-9a-f]{{16}}\{path.suffix}", published().address(path.name, folder)
        )


def test_a_changed_file_changes_its_own_address_and_that_of_each_file_which_imports_it() -> None:
    # Given a page's script that imports an element, which imports another file
    sources = {
        "console/static/console.js": b'import { a } from "../../elements/static/panel.js";\n',
        "elements/static/panel.js": b"// @ts-ignore import('./words.js')\nimport {\n  b,\n} from './words.js';\nexport const a = b;\n",
        "elements/static/words.js": b"export const b = 1;\n",
    }
    before = Assets(sources)
    # when the innermost file changes,
    after = Assets({**sources, "elements/static/words.js": b"export const b = 2;\n"})
    # then every address changes, and each file imports the present address of the next one.
    for name, folder in (("console.js", "assets"), ("panel.js", "elements"), ("words.js", "elements")):
        assert before.address(name, folder) != after.address(name, folder)
    scope = {"headers": []}
    panel = after.address("panel.js", "elements")
    assert f'from "../{panel}"' in after.answer(scope, "assets", "console.js").body.decode()
    inside = after.answer(scope, "elements", panel.removeprefix("elements/")).body.decode()
    assert f"from './{after.address('words.js', 'elements').removeprefix('elements/')}'" in inside
    # What a comment says is no import.
    assert "import('./words.js')" in inside


def test_a_script_is_served_without_its_documentation_and_each_line_of_code_keeps_its_number() -> None:
    source = """/**
 * Documentation of the file, with a /* in it. **
 */
import { b } from "./b.js";
/** A field. */
  /** @type {string} */
const text = "/** in a text */"; // why
const made = /** @type {string} */ (b);
const lines = `
  /* in a style */
`;
"""
    served = Assets({"static/a.js": source.encode(), "static/b.js": b""}).answer({"headers": []}, "assets", "a.js")
    kept = source.splitlines()
    for number in (0, 1, 2, 4, 5):
        kept[number] = ""
    found = served.body.decode().splitlines()
    assert [line for number, line in enumerate(found) if number != 3] == [
        line for number, line in enumerate(kept) if number != 3
    ]
    assert re.fullmatch(r'import \{ b \} from "\./b\.[0-9a-f]{16}\.js";', found[3])


@pytest.mark.parametrize(
    "sources",
    [
        {"static/a.js": b'import "./b.js";\n'},
        {"static/a.js": b'import "./b.js";\n', "static/b.js": b'import "./a.js";\n'},
        {"static/a.js": b"", "console/static/a.js": b""},
    ],
    ids=["missing", "circle", "same name"],
)
def test_files_that_would_not_load_in_a_browser_are_refused_at_the_start(sources: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match=r"imported|same name"):
        Assets(sources)


async def test_a_hashed_address_may_be_kept_for_ever_and_a_stable_one_is_asked_for_again(http) -> None:
    hashed = await http.get(f"/{published().address('look.css')}")
    stable = await http.get("/assets/look.css")
    assert (hashed.status_code, stable.status_code) == (200, 200)
    assert hashed.content == stable.content == (PAGES / "static" / "look.css").read_bytes()
    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert stable.headers["cache-control"] == "public, no-cache"
    # The address of another release gets the present file, which isn't kept under that address.
    foreign = await http.get("/assets/look.0123456789abcdef.css")
    assert (foreign.content, foreign.headers["cache-control"]) == (stable.content, "public, no-cache")


@pytest.mark.parametrize("path", STATIC, ids=lambda path: path.name)
async def test_a_file_says_what_it_is_and_comes_as_the_client_takes_it(http, path: Path) -> None:
    folder = "elements" if path.parent.parent.name == "elements" else "assets"
    address = f"/{published().address(path.name, folder)}"
    plain = await http.get(address, headers={"Accept-Encoding": "br, gzip;q=0"})
    assert plain.headers["content-type"] == MEDIA_TYPES[path.suffix[1:]].decode()
    assert plain.headers["x-content-type-options"] == "nosniff"
    assert "content-encoding" not in plain.headers
    async with http.stream("GET", address, headers={"Accept-Encoding": "deflate, GZIP;q=0.8"}) as small:
        raw = b"".join([chunk async for chunk in small.aiter_raw()])
    assert small.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    assert plain.headers["vary"] == small.headers["vary"] == "Accept-Encoding"
    # Two forms are two tags, and either of them, also as a proxy changes it, names the file.
    assert plain.headers["etag"] != small.headers["etag"]
    for tag in (plain.headers["etag"], small.headers["etag"], f"W/{plain.headers['etag']}"):
        known = await http.get(address, headers={"If-None-Match": tag})
        assert (known.status_code, known.content) == (304, b"")
    assert (await http.get(address, headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    "path", ["/assets/", "/assets/none.css", "/assets/page.py", "/assets/..%2fpage.py", "/elements/look.css"]
)
async def test_nothing_else_is_served(http, path: str) -> None:
    assert (await http.get(path)).status_code == 404


def test_an_installed_service_has_every_file(tmp_path: Path) -> None:
    # Given the wheel, unpacked as pip installs it
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # when a process takes its files from there,
    program = "import api.pages.assets as a; print(a.__file__); print(len(a.published()._by_path))"
    run = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    )
    # then it finds the same ones.
    assert run.stdout.split() == [str(site / "api" / "pages" / "assets.py"), str(len(STATIC))]
