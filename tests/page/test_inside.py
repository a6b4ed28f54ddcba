"""Looking inside: tokens, their alternatives, and what the model attended to."""

import math

from browser import *
from scripted_model import SCRIPTS


class Inside(PageTest):
    def setUp(self):
        super().setUp()
        self.say("plain hello")
        self.done()
        self.button("Show answers as tokens").click()

    def token(self, index):
        return self.page.locator(f'.token[data-index="{index}"]')

    def reference(self):
        """The same answer from the API."""
        answer = self.server.ask(
            "v1/chat/completions",
            {
                "model": "script",
                "messages": [{"role": "user", "content": "plain hello"}],
                "temperature": 0,
                "logprobs": True,
                "top_logprobs": 8,
            },
        )
        return answer["choices"][0]["logprobs"]["content"]

    def test_tokens_are_the_answer(self):
        expected = self.reference()
        expect(self.page.locator(".token")).to_have_count(len(expected))
        self.assertEqual("".join(self.page.locator(".token").all_text_contents()), SCRIPTS["plain"])
        for i, token in enumerate(expected):
            surprise = float(self.token(i).evaluate("(e) => e.style.getPropertyValue('--surprise')"))
            self.assertAlmostEqual(surprise, 0.75 * (1 - math.exp(token["logprob"])), delta=1e-3)
        self.button("Show answers as tokens").click()
        expect(self.answers).to_have_text(SCRIPTS["plain"])

    def test_hovering_shows_alternatives(self):
        self.token(4).hover()
        card = self.page.locator("#token-card")
        expect(card).to_be_visible()
        expected = self.reference()[4]["top_logprobs"]
        shown = [float(part.removesuffix(" %")) for part in card.locator(".part").all_text_contents()]
        likely = [100 * math.exp(one["logprob"]) for one in expected if one["logprob"] > math.log(1e-3)]
        self.assertEqual(len(shown), 2)
        self.assertEqual(len(likely), 2)
        for got, wanted in zip(shown, likely):
            self.assertAlmostEqual(got, wanted, delta=0.06)
        expect(card.locator(".is-chosen")).to_have_text(expected[0]["token"].replace(" ", "␣"))
        self.picture("alternatives")
        self.page.mouse.move(5, 5)
        expect(card).to_be_hidden()

    def test_a_click_shows_attention(self):
        self.token(4).click()
        panel = self.page.locator("#panel")
        expect(panel.locator("h2")).to_contain_text("Token 5")
        ids = [token["id"] for token in self.reference()]
        body = {"model": "script", "messages": [{"role": "user", "content": "plain hello"}], "continuation": ids[:4]}
        answer = self.server.ask("attention", body)
        texts = panel.locator(".attended > span")
        expect(texts).to_have_count(len(answer["tokens"]))
        self.assertEqual(texts.all_text_contents(), [token["text"] for token in answer["tokens"]])

        def expect_weights(layers, heads):
            rows = [answer["layers"][layer]["heads"][head] for layer in layers for head in heads]
            for i in range(1, len(answer["tokens"])):
                mean = 100 * sum(row[i] for row in rows) / len(rows)
                shown = texts.nth(i).get_attribute("title").rsplit(": ", 1)[1]
                if shown == "< 0.01 %":
                    self.assertLess(mean, 0.01)
                else:
                    self.assertAlmostEqual(float(shown.removesuffix(" %")), mean, delta=0.051)

        expect_weights(range(2), range(4))
        panel.locator("[name=layer]").select_option(label="2")
        expect_weights([1], range(4))
        panel.locator("[name=head]").select_option(label="3")
        expect_weights([1], [2])
        panel.get_by_role("button", name="Layer 1, head 4").click()
        expect_weights([0], [3])
        expect(panel.locator("[name=layer]")).to_have_value("0")
        hottest = max(range(1, len(answer["tokens"])), key=lambda i: answer["layers"][0]["heads"][3][i])
        colour = lambda i: texts.nth(i).evaluate("(e) => getComputedStyle(e).backgroundColor")  # noqa: E731
        self.assertNotEqual(colour(hottest), colour(0))
        self.picture("attention")
        # Its own row has one token more.
        panel.get_by_label("when it read this token").check()
        expect(texts).to_have_count(len(answer["tokens"]) + 1)
        self.button("Close panel").click()
        expect(panel).to_be_hidden()
        expect(self.page.locator(".token.chosen")).to_have_count(0)

    def test_after_a_reload(self):
        self.page.reload()
        self.button("Show answers as tokens").click()
        self.token(4).click()
        expect(self.page.locator(".attended > span").first).to_be_visible()

    def test_from_the_keyboard(self):
        self.token(0).focus()
        self.page.keyboard.press("ArrowRight")
        self.page.keyboard.press("ArrowRight")
        expect(self.token(2)).to_be_focused()
        expect(self.page.locator("#token-card")).to_be_visible()
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#panel h2")).to_contain_text("Token 3")
        self.page.keyboard.press("Escape")
        expect(self.page.locator("#panel")).to_be_hidden()

    def test_too_many_weights_come_a_layer_at_a_time(self):
        def refuse(route):
            if "layer" in route.request.post_data_json:
                route.continue_()
            else:
                route.fulfill(status=400, json={"error": {"message": "too many", "code": "too_many_weights"}})

        self.page.route("**/attention", refuse)
        self.token(4).click()
        layer = self.page.locator("#panel [name=layer]")
        expect(layer).to_have_value("0")
        with self.page.expect_request("**/attention") as asked:
            layer.select_option(label="2")
        self.assertEqual(asked.value.post_data_json["layer"], 1)
        expect(layer).to_have_value("1")
        self.problems.clear()  # the browser notes the refusal
