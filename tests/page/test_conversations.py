"""The list: search, rename, delete, export, import, reload; with and without a server that keeps it."""

import json
import pathlib
import tempfile

from browser import *
from scripted_model import SCRIPTS


class Conversations(PageTest):
    def setUp(self):
        super().setUp()
        for message in ("plain apples", "plain pears"):
            self.button("New conversation").click()
            self.say(message)
            self.done()

    def tearDown(self):
        self.server.process.poll() is None and self.page.evaluate("fetch('/conversations', {method: 'DELETE'})")
        super().tearDown()

    def test_the_list_searches_titles_and_messages(self):
        expect(self.titles()).to_have_text(["plain pears", "plain apples"])
        self.page.get_by_label("Search conversations").fill("apple")
        expect(self.titles()).to_have_text(["plain apples"])
        self.page.get_by_label("Search conversations").fill("LAZY DOG")
        expect(self.titles()).to_have_count(2)
        self.page.get_by_label("Search conversations").fill("nowhere")
        expect(self.page.locator("#conversations")).to_have_text("Nothing found")

    def test_rename(self):
        self.titles().last.hover()
        self.button("Rename plain apples").click()
        title = self.page.get_by_label("Title")
        title.fill("<b>fruit</b>")
        title.press("Enter")
        expect(self.titles()).to_have_text(["plain pears", "<b>fruit</b>"])
        self.titles().last.hover()
        self.button("Rename <b>fruit</b>").click()
        title.fill("lost")
        title.press("Escape")
        expect(self.titles()).to_have_text(["plain pears", "<b>fruit</b>"])
        self.page.reload()
        expect(self.titles()).to_have_text(["plain pears", "<b>fruit</b>"])

    def test_delete(self):
        self.titles().last.hover()
        self.button("Delete plain apples").click()
        self.button("Cancel").click()
        expect(self.titles()).to_have_count(2)
        self.titles().last.hover()
        self.button("Delete plain apples").click()
        self.button("Delete").click()
        expect(self.titles()).to_have_text(["plain pears"])
        # The shown one, too.
        self.titles().hover()
        self.button("Delete plain pears").click()
        self.button("Delete").click()
        expect(self.page.locator("#conversations")).to_have_text("No conversations yet")
        expect(self.page.locator("#welcome")).to_be_visible()
        self.assertEqual(self.server.ask("conversations")["conversations"], [])

    def test_reload_and_back(self):
        self.page.reload()
        expect(self.answers).to_have_text(SCRIPTS["plain"])
        expect(self.page.locator(".message.user .said")).to_have_text("plain pears")
        self.titles().last.click()
        expect(self.page.locator(".message.user .said")).to_have_text("plain apples")
        self.page.go_back()
        expect(self.page.locator(".message.user .said")).to_have_text("plain pears")

    def test_what_was_said_outlives_the_server(self):
        self.server.stop("kill")
        self.server.start()
        self.page.reload()
        expect(self.answers).to_have_text(SCRIPTS["plain"])
        expect(self.titles()).to_have_text(["plain pears", "plain apples"])
        self.problems.clear()  # the browser notes what it asked meanwhile

    def test_export_and_import(self):
        self.button("Export, import, delete all").click()
        with self.page.expect_download() as download:
            self.button("Export all").click()
        with open(download.value.path(), encoding="utf-8") as file:
            content = json.load(file)
        self.assertEqual([c["title"] for c in content["conversations"]], ["plain apples", "plain pears"])
        self.button("Export, import, delete all").click()
        self.button("Delete all").click()
        self.page.get_by_role("dialog").get_by_role("button", name="Delete all").click()
        expect(self.titles()).to_have_count(0)

        def bring(name, text):
            with tempfile.NamedTemporaryFile("w", suffix=name) as file:
                file.write(text)
                file.flush()
                self.button("Export, import, delete all").click()
                with self.page.expect_file_chooser() as chooser:
                    self.button("Import").click()
                chooser.value.set_files(file.name)
                self.page.wait_for_timeout(300)

        bring(".json", json.dumps(content))
        expect(self.titles()).to_have_count(2)
        bring(".json", "no json")
        expect(self.page.get_by_role("alert")).to_contain_text("no JSON")
        self.button("Dismiss").click()
        bring(".json", "{}")
        expect(self.page.get_by_role("alert")).to_contain_text("no export")
        self.problems.clear()  # the browser notes the refusal

    def test_a_long_conversation_comes_back(self):
        said = [{"id": i + 1, "parent": i or None, "role": "user", "content": "x" * (4 << 20)} for i in range(5)]
        export = {"format": "qkv conversations 1", "conversations": [{"title": "very long", "messages": said}]}
        with tempfile.TemporaryDirectory() as place:
            file = pathlib.Path(place) / "export.json"
            file.write_text(json.dumps(export))
            self.button("Export, import, delete all").click()
            with self.page.expect_file_chooser() as chooser:
                self.button("Import").click()
            chooser.value.set_files(file)
            expect(self.titles().get_by_text("very long")).to_have_count(1)
        came = next(c for c in self.server.ask("conversations")["conversations"] if c["title"] == "very long")
        self.assertEqual(len(self.server.ask("conversations/" + came["id"])["messages"]), 5)

    def test_what_is_deleted_while_others_read_is_told_to_leave_later(self):
        self.page.route(
            "**/conversations/*",
            lambda route: route.fulfill(json={"deleted": True, "erased": False})
            if route.request.method == "DELETE"
            else route.continue_(),
        )
        self.titles().last.hover()
        self.button("Delete plain apples").click()
        self.button("Delete").click()
        expect(self.page.get_by_role("alert")).to_contain_text("leaves the disk later")
        self.picture("erased-later")

    def test_one_that_is_gone_is_said_to_be(self):
        self.page = self.open("#abc")
        expect(self.page.get_by_role("alert")).to_contain_text("no such conversation")
        self.problems.clear()  # the browser notes the 404


class NotKept(PageTest):
    options = ["--data", "none"]

    def test_without_a_directory_the_page_remembers(self):
        expect(self.page.locator("#not-kept")).to_be_visible()
        for message in ("plain apples", "plain pears"):
            self.button("New conversation").click()
            self.say(message)
            self.done()
        expect(self.titles()).to_have_text(["plain pears", "plain apples"])
        self.page.get_by_label("Search conversations").fill("apple")
        expect(self.titles()).to_have_text(["plain apples"])
        self.titles().click()
        expect(self.answers).to_have_text(SCRIPTS["plain"])
        self.button("Write another answer").click()
        expect(self.page.get_by_label("Version 2 of 2")).to_be_visible()
        self.problems.clear()  # the browser notes the 404 that says so
