"""The pages: they show what was logged, to who is signed in, and never run any of it."""

import csv
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import requests

from tests.server.conftest import KEY, LiveServer, sdk_environment, use_sdk
from tests.server.hostile import HOSTILE, log_hostile
from tests.warm import WarmPython
from wandb_server.auth import SESSION_COOKIE, Signer
from wandb_server.pages import formats
from wandb_server.service import SIGN_IN

SAVES_CODE = """
import wandb

for is_dirty, is_saved in ((False, True), (True, True), (True, False)):
    if is_dirty:
        open(__file__, "a").write("# another line")
    settings = wandb.Settings(save_code=is_saved, silent=True)
    with wandb.init(project="committed", settings=settings) as run:
        print(run.id)
"""
GIT_USER = {
    **os.environ,
    **{f"GIT_{who}_{what}": "a@example.com"
       for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}  # fmt: skip


@dataclass
class Page:
    """What a browser would make of a page."""

    path: str
    headers: dict[str, str]
    text: str = ""
    links: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    handlers: list[str] = field(default_factory=list)


class Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.tags.append((tag, dict(attrs)))
        self.page.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.page.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.page.text += data


def read(reply: requests.Response) -> Page:
    page = Page(reply.url, dict(reply.headers))
    Reader(page).feed(reply.text)
    return page


@dataclass
class Site:
    """A server with two runs and an artifact, hostile wherever they can be.

    `printed` are the addresses that the SDK gives of a run, the project and the artifact.
    """

    base_url: str
    printed: list[str]


def sign_in_url(site: Site, target: str = "/") -> str:
    query = urlencode({"token": Signer(KEY).sign(SIGN_IN, 600), "next": target})
    return f"{site.base_url}/signin?{query}"


@pytest.fixture(scope="module")
def site(nursery: WarmPython, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server = LiveServer(tmp_path_factory.mktemp("site") / "data", nursery)
    with use_sdk(server.base_url, tmp_path_factory.mktemp("sdk")) as wandb:
        printed = log_hostile(wandb)
    yield Site(server.base_url, printed)
    server.stop()


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[requests.Session]:
    """A browser that followed a sign-in link."""
    with requests.Session() as session:
        session.headers["Accept"] = "text/html"
        assert session.get(sign_in_url(site), timeout=10).ok
        yield session


# What forms lead to. Of the table's other views there is no end, so the crawl leaves them out.
ASKED = [
    "/local/songs?filter=" + quote(f'"{HOSTILE}" or max_depth = 13'),
    "/local/songs?filter=" + quote(HOSTILE),
    "/local/songs?group=group&column=" + quote("config.key " + HOSTILE),
    "/local/songs/compare",
    "/local/songs/compare?metric=summary.val%2Froc_auc_ovo&x=config.max_depth",
    "/local/songs/artifacts/model/model_export/v1/changes?from=v0",
    "/local/songs/artifacts/model/model_export/v1/alias?alias=prod",
    "/local/songs/artifacts/model/model_export/v1/alias?alias=" + quote(HOSTILE),
    "/local/songs/artifacts/model/model_export/v0/alias?action=remove&alias=prod",
    "/search?q=" + quote(HOSTILE),
    "/search?q=model",
    "/search?q=prod",
    "/search?q=" + quote("model_export:v1"),
]


@pytest.fixture(scope="module")
def pages(site: Site, browser: requests.Session) -> dict[str, Page]:
    """Every page and file that can be reached by links, and some forms' answers, by path."""
    found: dict[str, Page] = {}
    waiting = ["/", *ASKED]
    while waiting:
        path = waiting.pop()
        if path in found or not path.startswith("/"):
            continue
        reply = browser.get(site.base_url + path, timeout=10)
        assert reply.status_code == 200, f"{path}: {reply.status_code} {reply.text[:200]}"
        is_logged = "token=" in path or "/frames/" in path
        is_page = reply.headers["Content-Type"].startswith("text/html") and not is_logged
        found[path] = read(reply) if is_page else Page(path, dict(reply.headers))
        waiting += [
            link.partition("?")[0] if link.startswith("/local/songs?") else link
            for link in found[path].links
        ]
    return found


def only(pages: dict[str, Page], part: str, title: str) -> Page:
    (page,) = {
        id(page): page
        for path, page in pages.items()
        if part in path and "?" not in path and "/files/" not in path and title in page.text
    }.values()
    return page


def test_the_pages_lead_from_projects_to_runs_artifacts_and_files(pages: dict[str, Page]) -> None:
    # Two runs and one artifact, beside the tables that the SDK makes into some; then a date.
    assert re.search(r"songs\s*21\d{4}-\d\d-\d\d", pages["/"].text)
    project = pages["/local/songs"]
    for shown in ("finished", "train", "0.95341", "val/roc_auc_ovo", "model_export", "v1", "prod"):
        assert shown in project.text
    run = only(pages, "/runs/", "0.953412")
    for shown in ("max_depth", "13", "model_export:v0", "output.log"):
        assert shown in run.text
    version = only(pages, "/artifacts/", "42305")
    for shown in ("42305", "Made by", "Used by", "evaluate", "prod", "pixel.png"):
        assert shown in version.text


def test_the_addresses_that_the_sdk_prints_are_pages(site: Site, browser: requests.Session) -> None:
    for url in site.printed:
        assert url.startswith(site.base_url)
        assert browser.get(url, timeout=10).status_code == 200


def test_nothing_that_was_logged_becomes_markup(pages: dict[str, Page]) -> None:
    for page in pages.values():
        assert page.handlers == [], page.path
        assert "x" not in page.links, page.path
        for tag, attributes in page.tags:
            assert tag not in {"object", "embed"}, page.path
            if tag == "script":
                assert re.match(r"/static/(pages|parallel)\.js\?", str(attributes["src"])), (
                    page.path
                )
            assert str(attributes.get("action", "/")).startswith("/"), page.path
            if tag == "iframe":
                # Nothing is allowed, unless somebody asked to run the scripts of just this file.
                is_asked = "?scripts=" in page.path and "/frames/" in str(attributes["src"])
                assert attributes["sandbox"] == ("allow-scripts" if is_asked else None), page.path
            assert "style" not in attributes, page.path  # the policy would refuse it


@pytest.mark.parametrize(
    "prefix",
    [
        *("run ", "trial ", "note ", "tag ", "key ", "value ", "said ", "summary ", "console "),
        *("model ", "about ", "meta ", "data ", "alias ", "https://example.org/"),
        *("metric ", "column ", "cell ", "sweep ", "alert ", "alarm "),
        *("bar ", "title ", "me/own ", "class ", "weights ", "page ", "line ", "figure "),
        *("boxes ", "caption ", "kind ", "score ", "mask ", "label ", "space "),
    ],
)
def test_hostile_text_is_shown_as_text(pages: dict[str, Page], prefix: str) -> None:
    assert any(prefix + HOSTILE in page.text for page in pages.values())


def test_pages_forbid_inline_scripts_and_foreign_content(pages: dict[str, Page]) -> None:
    others = re.compile("/static/|/download/|.*/frames/")
    shown = [page for path, page in pages.items() if not others.match(path)]
    assert len(shown) > 20
    for page in shown:
        if page.headers["content-type"].startswith("text/csv"):
            continue
        policy = page.headers["content-security-policy"].split("; ")
        assert "default-src 'none'" in policy
        assert all(rule.endswith((" 'self'", " 'none'")) for rule in policy), policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert all(link.startswith(("/", "#")) for link in page.links), page.links


def test_a_page_that_may_run_scripts_has_an_origin_of_its_own_and_no_network(
    pages: dict[str, Page],
) -> None:
    frames = [page for path, page in pages.items() if "/frames/" in path]
    assert frames
    for page in frames:
        rules = page.headers["content-security-policy"].split("; ")
        assert {"sandbox allow-scripts", "default-src 'none'"} <= set(rules)
        sources = {source for rule in rules[1:] for source in rule.split()[1:]}
        assert sources - {"'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"} == {
            "'self'"
        }
        assert "frame-ancestors 'self'" in rules


def test_where_the_sdk_does_not_tell_who_ran_it_a_run_names_the_server_s_account(
    pages: dict[str, Page], tmp_path: Path
) -> None:
    run = only(pages, "/runs/", "0.953412")
    assert f"{tmp_path.owner()} (account of the server)" in run.text


def test_a_run_says_whether_files_differed_from_the_commit(
    site: Site, browser: requests.Session, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(SAVES_CODE)
    git = ["git init -q", "git add program.py", "git commit -q -m first"]
    for command in git:
        subprocess.run(command.split(), cwd=tmp_path, env=GIT_USER, check=True)
    done = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env=sdk_environment(site.base_url, tmp_path) | GIT_USER,
        capture_output=True,
        text=True,
        check=True,
    )
    clean, dirty, untold = (
        read(browser.get(f"{site.base_url}/local/committed/runs/{name}", timeout=10)).text
        for name in done.stdout.split()
    )
    assert re.search(r"Commit\s*[0-9a-f]{40} without changes", clean)
    assert re.search(r"Commit\s*[0-9a-f]{40} with changes, see diff.patch", dirty)
    assert re.search(r"Commit\s*[0-9a-f]{40} \(with WANDB_SAVE_CODE=true", untold)


def test_a_drawn_metric_is_described_in_words(pages: dict[str, Page]) -> None:
    run = only(pages, "/runs/", "0.953412")
    said = [str(attributes.get("aria-label")) for tag, attributes in run.tags if tag == "svg"]
    assert "val/roc_auc_ovo: val/roc_auc_ovo from 0.95341 to 0.95341, at last 0.95341." in said
    assert any(f"metric {HOSTILE} from 0 to 2, at last 2." in text for text in said)


def test_images_side_by_side_keep_what_lies_over_them(pages: dict[str, Page]) -> None:
    tags = pages["/local/songs/compare"].tags
    said = [str(about["aria-label"]) for _, about in tags if about.get("class") == "over"]
    assert len(said) == 2
    assert all(text.endswith(f"boxes boxes {HOSTILE}: kind {HOSTILE} (1)") for text in said), said
    filters = {about["id"] for tag, about in tags if tag == "filter"}
    used = {str(about["filter"])[5:-1] for tag, about in tags if tag == "use"}
    assert used == filters == {"class-1"}


def test_a_point_cloud_is_drawn_and_described_in_words(pages: dict[str, Page]) -> None:
    run = only(pages, "/runs/", "0.953412")
    said = [str(attributes.get("aria-label")) for tag, attributes in run.tags if tag == "svg"]
    assert "cloud: 3 points: x from 0 to 1, y from 0 to 1, z from 0 to 1." in said


def test_plots_of_the_sdk_are_drawn_and_others_stay_tables(pages: dict[str, Page]) -> None:
    run = only(pages, "/runs/", "0.953412")
    said = {str(attributes.get("aria-label")) for tag, attributes in run.tags if tag == "svg"}
    assert {"value: 1 bars.", "count: 4 values from 1 to 3."} <= said
    assert "Rows: the actual class" in run.text
    assert "A chart of the preset me/own" in run.text


def test_files_in_the_cells_of_a_table_are_shown_by_the_run_and_by_the_artifact(
    pages: dict[str, Page],
) -> None:
    run, version = (only(pages, *words) for words in (("/runs/", "0.953412"), ("/a", "42305")))
    (kept,) = (link for link in version.links if link.endswith("/shots.table.json"))
    for page in (run, pages[kept]):
        (thumb,) = (attributes for _, attributes in page.tags if attributes.get("class") == "thumb")
        assert thumb["alt"] == f"shot {HOSTILE}"
        assert pages[str(thumb["src"])].headers["content-type"] == "image/png"
        reports = [link for link in page.links if "/artifacts/" in link and "/html/" in link]
        assert "It has scripts of its own, which are held back" in pages[reports[0]].text


@pytest.mark.parametrize("step", ["x", "-1", "1.5", "9" * 40])
def test_a_step_that_is_no_number_is_refused(
    site: Site, browser: requests.Session, step: str
) -> None:
    reply = browser.get(site.printed[0], params={"step": step}, timeout=10)
    assert reply.status_code == 400
    assert "a whole number is wanted" in reply.text


def test_smoothing_is_a_part_of_the_address(site: Site, browser: requests.Session) -> None:
    for address in (site.printed[0], f"{site.base_url}/local/songs/compare"):
        logged, smoothed, refused = (
            browser.get(address, params={"smoothing": value}, timeout=10)
            for value in ("", "0.6", "2")
        )
        assert ("pale" in logged.text, "pale" in smoothed.text) == (False, True)
        assert 'name="smoothing" min="0" max="1" step="0.01" value="0.6"' in smoothed.text
        assert refused.status_code == 400
        assert "a number from 0 to 1 is wanted" in refused.text


def test_metrics_are_drawn_over_the_axis_that_define_metric_names(pages: dict[str, Page]) -> None:
    run = only(pages, "/runs/", "0.953412")
    axes = {
        str(attributes["aria-label"]).partition(":")[0]: attributes["data-label"]
        for tag, attributes in run.tags
        if tag == "svg" and "data-label" in attributes
    }
    assert axes["val/roc_auc_ovo"] == "epoch"
    assert axes["epoch"] == "_step"


def test_the_csv_holds_what_the_filter_finds_and_no_formula(
    site: Site, browser: requests.Session
) -> None:
    address = f"{site.base_url}/local/songs/runs.csv"
    query = {"filter": "max_depth = 13", "column": ["group", "summary.val/roc_auc_ovo"]}
    reply = browser.get(address, params=query, timeout=10)
    assert reply.headers["Content-Disposition"].startswith("attachment;")
    heading, row = csv.reader(io.StringIO(reply.text))
    assert heading == ["id", "name", "group", "summary.val/roc_auc_ovo"]
    assert row[1:] == [f"run {HOSTILE}", f"trial {HOSTILE}", "0.953412"]


def test_an_unreadable_filter_is_explained_and_kept(site: Site, browser: requests.Session) -> None:
    page = read(browser.get(f"{site.base_url}/local/songs?filter=loss+%3E", timeout=10))
    assert "can't read the filter at its end" in page.text
    assert ("input", "loss >") in [(tag, attributes.get("value")) for tag, attributes in page.tags]


def test_versions_are_compared_by_files_and_metadata(pages: dict[str, Page]) -> None:
    page = pages["/local/songs/artifacts/model/model_export/v1/changes?from=v0"]
    for shown in ("rows.csv", "not there", "42305", "7", "Unchanged files"):
        assert shown in page.text


def test_moving_an_alias_asks_first_and_names_both_versions(pages: dict[str, Page]) -> None:
    text = pages["/local/songs/artifacts/model/model_export/v1/alias?alias=prod"].text
    assert "prod points to model_export:v0. Afterwards it points to model_export:v1" in text
    assert "Move prod from v0 to v1" in text


def test_versions_are_found_by_an_alias_and_by_their_number(pages: dict[str, Page]) -> None:
    for query, version in (("prod", "v0"), (quote("model_export:v1"), "v1")):
        (url,) = (link for link in pages[f"/search?q={query}"].links if "/artifacts/" in link)
        assert url.startswith("/local/songs/artifacts/model")
        assert url.endswith(f"/model_export/{version}")


ALIAS = {"entity": "local", "project": "songs", "artifact": "model_export", "action": "set"}


def token_of(site: Site, browser: requests.Session) -> str:
    address = f"{site.base_url}/local/songs/artifacts/model/model_export/v1/alias?alias=new"
    page = read(browser.get(address, timeout=10))
    fields = {a.get("name"): a.get("value") for tag, a in page.tags if tag == "input"}
    return str(fields["token"])


def change(site: Site, browser: requests.Session, **fields: str) -> requests.Response:
    given = ALIAS | {"token": token_of(site, browser)} | fields
    headers = {"Origin": site.base_url, "Sec-Fetch-Site": "same-origin"}
    address = f"{site.base_url}/change/alias"
    return browser.post(address, given, headers=headers, timeout=10, allow_redirects=False)


def test_an_alias_is_set_moved_and_removed_by_forms(site: Site, browser: requests.Session) -> None:
    address = f"{site.base_url}/local/songs/artifacts/model/model_export/staging"
    assert change(site, browser, alias="staging", version="v0", holder="").status_code == 303
    assert "model_export:v0" in read(browser.get(address, timeout=10)).text
    assert change(site, browser, alias="staging", version="v1", holder="v0").status_code == 303
    assert "model_export:v1" in read(browser.get(address, timeout=10)).text
    done = change(site, browser, alias="staging", version="v1", holder="v1", action="remove")
    assert done.headers["Location"].endswith("/model_export/v1")
    assert browser.get(address, timeout=10).status_code == 404


def test_an_alias_that_moved_meanwhile_stays(site: Site, browser: requests.Session) -> None:
    reply = change(site, browser, alias="prod", version="v1", holder="v7")
    assert reply.status_code == 409
    assert "prod points to v0 by now, not to v7" in read(reply).text


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"alias": "latest", "holder": ""}, 400, "follows the newest version"),
        ({"alias": "v3", "holder": ""}, 400, "take another alias"),
        ({"alias": "", "holder": ""}, 400, "at least one letter"),
        ({"alias": "a", "holder": "", "version": "v9"}, 404, "no version model_export:v9"),
        ({"alias": "a", "holder": "", "project": "none"}, 404, "no version"),
        ({"alias": "a", "holder": "", "artifact": "none"}, 404, "no version none:v1"),
        ({"alias": "a"}, 400, "The form lacks holder."),
        ({"alias": "x" * 20_000, "holder": ""}, 403, "This form is too old"),
    ],
)
def test_an_impossible_change_is_refused(
    site: Site, browser: requests.Session, fields: dict[str, str], status: int, reason: str
) -> None:
    reply = change(site, browser, **{"version": "v1", **fields})
    assert reply.status_code == status
    assert reason in read(reply).text


def test_nothing_changes_without_the_form_of_this_session(
    site: Site, browser: requests.Session
) -> None:
    asked = {"alias": "stolen", "version": "v0", "holder": ""}
    foreign_token = Signer(KEY).sign("change of another session", 600)
    for token in ("", "nonsense", foreign_token):
        assert change(site, browser, **asked, token=token).status_code == 403
    given = ALIAS | asked | {"token": token_of(site, browser)}
    address = f"{site.base_url}/change/alias"
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://127.0.0.1:1"}):
        assert browser.post(address, given, headers=headers, timeout=10).status_code == 403
    without_cookie = requests.post(address, given, timeout=10)
    assert without_cookie.status_code == 401
    again = f"{site.base_url}/local/songs/artifacts/model/model_export/stolen"
    assert browser.get(again, timeout=10).status_code == 404


def test_a_session_changes_nothing_but_by_forms(site: Site, browser: requests.Session) -> None:
    reply = browser.post(
        f"{site.base_url}/graphql", json={"query": "{ viewer { id } }"}, timeout=10
    )
    assert reply.status_code == 401


def test_lineage_links_both_runs_and_both_versions(pages: dict[str, Page]) -> None:
    page = only(pages, "/v1/lineage", "Lineage of")
    drawn = [link for link in page.links if "/runs/" in link or link.endswith(("/v0", "/v1"))]
    assert len({link for link in drawn if "/runs/" in link}) == 2
    assert {link[-2:] for link in drawn if "/model_export/" in link} == {"v0", "v1"}


def test_files_are_served_where_no_script_runs(pages: dict[str, Page]) -> None:
    files = {path: page for path, page in pages.items() if path.startswith("/download/")}
    assert any(".html" in path for path in files)
    for page in files.values():
        policy = page.headers["content-security-policy"].split("; ")
        assert policy[:2] == ["sandbox", "default-src 'none'"]
        assert not any(rule.startswith(("script", "connect", "frame")) for rule in policy)
        assert page.headers["x-content-type-options"] == "nosniff"


def test_aliases_lead_to_their_version(site: Site, browser: requests.Session) -> None:
    address = f"{site.base_url}/local/songs/artifacts/model/model_export"
    by_alias = read(browser.get(f"{address}/prod", timeout=10))
    assert "model_export:v0" in by_alias.text


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/nobody", "Nobody called nobody has a project here."),
        ("/local/nothing", "There is no project local/nothing."),
        ("/local/songs/runs/none", "The project songs has no run none."),
        ("/local/songs/artifacts/model/none", "The project songs has no artifact none."),
        (
            "/local/songs/artifacts/model/model_export/v7",
            "The artifact model_export has no version v7.",
        ),
        ("/static/none.css", "There is no file none.css."),
    ],
)
def test_what_does_not_exist_is_named(
    site: Site, browser: requests.Session, path: str, reason: str
) -> None:
    reply = browser.get(site.base_url + path, timeout=10)
    assert reply.status_code == 404
    assert reason in read(reply).text


def test_without_a_cookie_there_is_only_the_way_to_sign_in(site: Site) -> None:
    for path in ("/", "/local/songs", "/local/nothing"):
        reply = requests.get(site.base_url + path, headers={"Accept": "text/html"}, timeout=10)
        assert reply.status_code == 401
        assert "python -m wandb_server open" in read(reply).text
        assert "songs" not in reply.text
        assert "WWW-Authenticate" not in reply.headers  # else the browser asks for a password


def test_the_sign_in_page_has_its_style(site: Site) -> None:
    reply = requests.get(f"{site.base_url}/static/style.css", timeout=10)
    assert reply.headers["Content-Type"].startswith("text/css")


def test_a_link_from_another_site_makes_the_page_load_itself_again(site: Site) -> None:
    headers = {"Accept": "text/html", "Sec-Fetch-Site": "cross-site"}
    reply = requests.get(site.base_url, headers=headers, timeout=10)
    assert '<meta http-equiv="refresh" content="0">' in reply.text
    headers["Sec-Fetch-Site"] = "same-origin"
    assert "refresh" not in requests.get(site.base_url, headers=headers, timeout=10).text


def test_a_sign_in_link_sets_a_cookie_that_scripts_and_other_sites_cannot_use(
    site: Site,
) -> None:
    reply = requests.get(sign_in_url(site, "/local/songs"), allow_redirects=False, timeout=10)
    assert (reply.status_code, reply.headers["Location"]) == (303, "/local/songs")
    cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_expired_forged_and_borrowed_tokens_do_not_sign_in(site: Site) -> None:
    expired = Signer(KEY).sign(SIGN_IN, -1)
    forged = Signer("0" * 64).sign(SIGN_IN, 600)
    borrowed = Signer(KEY).sign("GET /download/x", 600)
    for token in ("", "nonsense", expired, forged, borrowed):
        address = f"{site.base_url}/signin"
        headers = {"Accept": "text/html"}
        reply = requests.get(address, params={"token": token}, headers=headers, timeout=10)
        assert reply.status_code == 401
        assert "This link has expired" in reply.text
        assert "Set-Cookie" not in reply.headers


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "javascript:alert(1)"],
)
def test_signing_in_never_leads_to_another_site(site: Site, target: str) -> None:
    reply = requests.get(sign_in_url(site, target), allow_redirects=False, timeout=10)
    assert reply.headers["Location"] == "/"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_100_000_000, "2.1 GB"), (5e15, "5000.0 TB")],
)
def test_sizes_are_readable(size: float, text: str) -> None:
    assert formats.readable_size(size) == text


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ("2026-01-31T09:00:04.400000Z", "4 s"),
        ("2026-01-31T09:02:05.000000Z", "2 min 5 s"),
        ("2026-02-01T10:10:00.000000Z", "25 h 10 min"),
        ("2026-01-31T08:59:59.000000Z", "0 s"),
    ],
)
def test_durations_are_readable(end: str, text: str) -> None:
    assert formats.duration("2026-01-31T09:00:00.000000Z", end) == text


def test_nested_settings_become_dotted_names_and_media_stay_whole() -> None:
    image = {"_type": "image-file", "path": "media/a.png"}
    nested = {"forest": {"depth": 3, "none": {}}, "list": [1], "image": image}
    assert list(formats.flatten(nested)) == [
        ("forest.depth", 3),
        ("forest.none", {}),
        ("list", [1]),
        ("image", image),
    ]
