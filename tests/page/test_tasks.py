"""The tab of tasks: each task gives what its API gives, and only what is served is offered."""

from browser import *


class Tasks(PageTest):
    served = ["script", "fill", "tag", "answer", "classify", "translate"]

    def setUp(self):
        super().setUp()
        self.page.get_by_role("tab", name="Tasks").click()
        self.form = self.page.locator("#tasks form")

    def task(self, name):
        self.page.locator("#tasks .task-list").get_by_role("button", name=name, exact=True).click()

    def bars(self):
        return list(
            zip(self.form.locator(".bars dt").all_text_contents(), self.form.locator(".bars .part").all_text_contents())
        )

    @staticmethod
    def percent(score):
        return f"{100 * score:.1f} %" if score >= 0.01 else f"{100 * score:.2f} %" if score >= 0.0001 else "< 0.01 %"

    def test_fill(self):
        self.form.get_by_label("Text with a gap").fill("Paris is the capital of ")
        self.form.get_by_role("button", name="Insert [MASK]").click()
        self.form.get_by_role("button", name="Fill").click()
        expect(self.form.locator(".sequence")).to_be_visible()
        fillings = self.server.ask("v1/fill", {"model": "fill", "input": "Paris is the capital of [MASK]", "top_k": 6})[
            "data"
        ][0]["fillings"][0]
        self.assertEqual(self.bars(), [(f["token_str"].strip(), self.percent(f["score"])) for f in fillings])
        self.picture("tasks")
        self.form.get_by_label("Text with a gap").fill("no gap")
        self.form.get_by_role("button", name="Fill").click()
        expect(self.form.get_by_role("alert")).to_contain_text("no mask")
        self.problems.clear()  # the browser notes the refusal

    def test_tag(self):
        self.task("Tag entities")
        text = "😀 Ada Lovelace was born in London ."
        self.form.get_by_label("Text").fill(text)
        self.form.get_by_role("button", name="Tag").click()
        expect(self.form.locator(".marked-text")).to_be_visible()
        entities = self.server.ask("v1/tag", {"model": "tag", "input": text})["data"][0]["entities"]
        marks = self.form.locator("mark")
        self.assertEqual(marks.all_text_contents(), [text[e["start"] : e["end"]] + e["label"] for e in entities])
        self.assertGreater(len(entities), 0)

    def test_answer(self):
        self.task("Answer a question")
        context = "Ada Lovelace was born in London ."
        self.form.get_by_label("Text that holds the answer").fill(context)
        self.form.get_by_label("Question").fill("where was Ada born ?")
        self.form.get_by_role("button", name="Answer").click()
        expect(self.form.locator(".marked-text")).to_be_visible()
        answers = self.server.ask(
            "v1/answer", {"model": "answer", "question": "where was Ada born ?", "context": context, "top_k": 4}
        )["answers"]
        self.assertEqual(self.bars(), [(a["answer"], self.percent(a["score"])) for a in answers])
        expect(self.form.locator("mark")).to_have_text(answers[0]["answer"])

    def test_classify(self):
        self.task("Classify")
        self.form.get_by_label("Text").fill("I liked it")
        self.form.get_by_role("button", name="Classify").click()
        expect(self.form.locator(".bars")).to_be_visible()
        labels = self.server.ask("v1/classify", {"model": "classify", "input": "I liked it"})["data"][0]["labels"]
        self.assertEqual(self.bars(), [(label["label"], self.percent(label["score"])) for label in labels])
        # What was typed stays while other tasks are looked at.
        self.task("Fill a mask")
        self.task("Classify")
        expect(self.form.get_by_label("Text")).to_have_value("I liked it")


    def test_translate(self):
        self.task("Rewrite or translate")
        text = "Paris is the capital of France"
        self.form.get_by_label("Text").fill(text)
        self.form.get_by_role("button", name="Go").click()
        written = self.form.locator(".marked-text")
        expect(written).to_be_visible()
        expected = self.server.ask("v1/translate", {"model": "translate", "input": text})["data"][0]["text"]
        self.assertGreater(len(expected.split()), 2)
        expect(written).to_have_text(expected)
        # Another text takes its place, Ctrl+Enter will do, and what is no text is refused.
        other = "Ada was born in London"
        self.form.get_by_label("Text").fill(other)
        self.form.get_by_label("Text").press("Control+Enter")
        expected = self.server.ask("v1/translate", {"model": "translate", "input": other})["data"][0]["text"]
        expect(written).to_have_text(expected)
        self.form.get_by_label("Text").fill("   ")
        self.form.get_by_role("button", name="Go").click()
        expect(self.form.get_by_role("alert")).to_contain_text("nothing that the tokenizer makes tokens of")
        expect(written).to_have_count(0)
        self.problems.clear()  # the browser notes the refusal


class OnlyTasks(PageTest):
    served = ["classify"]

    def test_without_a_model_that_writes(self):
        expect(self.page.get_by_role("tab", name="Tasks")).to_have_attribute("aria-selected", "true")
        expect(self.page.locator("#tasks .task-list button")).to_have_text(["Classify"])


class NoTasks(PageTest):
    def test_without_an_encoder(self):
        expect(self.page.locator("#tabs")).to_be_hidden()
