"""What the page's tests share: a server with tiny models, a browser, and the steps that users take."""

import atexit
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

os.environ["HF_HUB_OFFLINE"] = "1"

from playwright.sync_api import Error, expect, sync_playwright  # noqa: E402
from scripted_model import encoder, scripted_model, translator  # noqa: E402

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
expect.set_options(timeout=15000)


def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="qkv-page-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@functools.cache
def models():
    root = folder()
    made = {"script": scripted_model, "base": lambda path: scripted_model(path, chat=False), "translate": translator}
    made["tuned"] = lambda path: scripted_model(path, sampling={"do_sample": True, "temperature": 0.3, "top_k": 5})
    for kind in ("fill", "tag", "answer", "classify"):
        made[kind] = functools.partial(encoder, kind=kind)
    for name, make in made.items():
        (root / name).mkdir()
        make(root / name)
    return root


@functools.cache
def browser():
    playwright = sync_playwright().start()
    program = os.environ.get("QKV_CHROMIUM") or shutil.which("chromium")
    # As root there is no sandbox; nothing but our own page is opened.
    try:
        started = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
    except Error as error:
        sys.exit(
            "No browser starts. scripts/install-deps --browser brings one, or, where the distribution has none, "
            f"`.venv/bin/playwright install --with-deps chromium`.\n{error}"
        )
    atexit.register(playwright.stop)
    atexit.register(started.close)
    return started


class Server:
    def __init__(self, *arguments):
        self.arguments = [os.environ["QKV"], "serve", *map(str, arguments), "--quiet", "--threads", "1"]
        self.port = 0
        self.start()

    def start(self):
        self.process = subprocess.Popen([*self.arguments, "--port", str(self.port)], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+)$", line.strip())[1])
        self.url = f"http://127.0.0.1:{self.port}/"

    def stop(self, signal="terminate"):
        getattr(self.process, signal)()
        self.process.wait(30)
        self.process.stdout.close()

    def ask(self, path, body=None):
        request = urllib.request.Request(self.url + path, data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


class PageTest(unittest.TestCase):
    """Each test has a fresh browser context; each class a server."""

    served = ["script"]
    options = []  # of qkv serve; without --data, a directory of the class's own
    context_options = {}

    @classmethod
    def setUpClass(cls):
        options = cls.options if "--data" in cls.options else [*cls.options, "--data", folder()]
        cls.server = Server(*(models() / name for name in cls.served), *options)
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        self.context = browser().new_context(reduced_motion="reduce", **self.context_options)
        self.addCleanup(self.context.close)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.problems = []
        # Answers must be the same each time.
        self.context.add_init_script(
            "localStorage.getItem('qkv-settings') ?? "
            "localStorage.setItem('qkv-settings', JSON.stringify({temperature: 0}))"
        )
        self.page = self.open()

    def open(self, address=""):
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.problems.append(message.text))
        # Nothing comes from anywhere else.
        page.on(
            "request",
            lambda request: request.url.startswith((self.server.url, "blob:", "data:"))
            or self.problems.append(f"asks {request.url}"),
        )
        page.goto(self.server.url + address)
        return page

    def tearDown(self):
        self.assertEqual(self.problems, [])

    def picture(self, name):
        if directory := os.environ.get("QKV_PICTURES"):
            pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{directory}/{name}.png")

    def button(self, name, exact=True):
        return self.page.get_by_role("button", name=name, exact=exact)

    @property
    def question(self):
        return self.page.get_by_label("Your message")

    @property
    def answers(self):
        return self.page.locator(".message.assistant .written")

    def say(self, text):
        self.question.fill(text)
        self.question.press("Enter")

    def done(self):
        """Waits until the answer is there and stored."""
        expect(self.page.locator("#send")).to_have_attribute("aria-label", "Send")
        expect(self.page.locator(".message.assistant").last.locator(".facts")).to_be_visible()

    def titles(self):
        return self.page.locator("#conversations .entry > button:first-child")


__all__ = ["PHONE", "PageTest", "Server", "expect", "models"]
