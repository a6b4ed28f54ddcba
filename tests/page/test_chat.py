"""Talking: send, stream, stop, regenerate, edit, branches, settings, models."""

from browser import *
from scripted_model import SCRIPTS

PLAIN = SCRIPTS["plain"]


class Sampling(PageTest):
    served = ["script", "tuned"]

    def test_empty_fields_are_left_to_the_model(self):
        self.button("Settings of this conversation").click()
        temperature, top_k = self.page.get_by_label("Temperature"), self.page.get_by_label("Top k")
        self.assertEqual(temperature.get_attribute("placeholder"), "1")
        self.page.locator("#model").select_option("tuned")
        self.assertEqual([f.get_attribute("placeholder") for f in (temperature, top_k)], ["0.3", "5"])
        self.picture("sampling")
        self.button("Back to the model's own").click()
        expect(temperature).to_have_value("")
        with self.page.expect_request("**/v1/chat/completions") as sent:
            self.say("plain hello")
        self.assertEqual(sent.value.post_data_json.keys() & {"temperature", "top_k", "top_p"}, set())
        self.done()

    def test_who_chose_nothing_has_the_models_own(self):
        for model, expected in (("tuned", None), ("script", 0.7)):
            self.page.route("**/v1/models", self.only(model))
            self.page.add_init_script("localStorage.removeItem('qkv-settings')")
            self.page.reload()
            with self.page.expect_request("**/v1/chat/completions") as sent:
                self.say("plain hello")
            self.assertEqual(sent.value.post_data_json.get("temperature"), expected)
            self.page.unroute("**/v1/models")
            self.done()
            self.button("New conversation").click()

    def only(self, name):
        def answer(route):
            models = route.fetch().json()
            route.fulfill(json=models | {"data": [model for model in models["data"] if model["id"] == name]})

        return answer


class Chat(PageTest):
    served = ["script", "base"]

    def test_a_message_is_answered(self):
        expect(self.page.locator("#welcome")).to_contain_text("script")
        self.say("plain hello")
        self.done()
        expect(self.page.locator(".message.user .said")).to_have_text("plain hello")
        expect(self.answers).to_have_text(PLAIN)
        expect(self.page.locator("#announcements")).to_have_text(PLAIN)
        expect(self.page.locator("#welcome")).to_be_hidden()
        expect(self.question).to_have_value("")

    def stream_slowly(self):
        """Tokens come one by one. As those of a connection, they end with an error when they are stopped or the page is left."""
        self.page.evaluate("""() => {
            const real = window.fetch;
            const left = new Promise((resolve) => addEventListener('pagehide', resolve));
            window.fetch = async (...call) => {
                const answer = await real(...call);
                if (!String(call[0]).includes('completions')) return answer;
                const slow = new TransformStream({transform: async (chunk, out) => {
                    for (const line of new TextDecoder().decode(chunk).split(/(?<=\\n\\n)/)) {
                        await new Promise((resolve, reject) => {
                            left.then(() => reject(new TypeError('network error')));
                            setTimeout(resolve, 40);
                            if (call[1].signal.aborted) reject(new DOMException('', 'AbortError'));
                        });
                        out.enqueue(new TextEncoder().encode(line));
                    }
                }});
                return new Response(answer.body.pipeThrough(slow), answer);
            };
        }""")

    def test_answers_stream_and_stop(self):
        self.stream_slowly()
        self.page.evaluate("""() => {
            window.seen = [];
            new MutationObserver(() => window.seen.push(document.querySelector('.written')?.textContent.length ?? 0))
                .observe(document.getElementById('thread'), {subtree: true, childList: true, characterData: true});
        }""")
        self.say("long story")
        expect(self.answers).to_contain_text("word3")
        self.assertEqual(self.page.locator("#send").get_attribute("aria-label"), "Stop")
        self.question.press("Escape")
        self.done()
        expect(self.page.locator(".facts")).to_contain_text("stopped")
        text = self.answers.text_content()
        self.assertTrue(SCRIPTS["long"].startswith(text.strip()) and len(text) < len(SCRIPTS["long"]), text)
        self.assertGreater(len({length for length in self.page.evaluate("window.seen") if length}), 3)
        # What was said until then is kept.
        self.page.reload()
        expect(self.answers).to_have_text(text)

    def test_an_answer_that_is_left_is_stored_once(self):
        self.stream_slowly()
        self.say("long story")
        expect(self.answers).to_contain_text("word3")
        self.page.reload()
        expect(self.answers).to_contain_text("word3")
        expect(self.page.locator(".facts")).to_contain_text("stopped")
        self.page.wait_for_timeout(300)
        stored = self.server.ask("conversations/" + self.page.url.split("#")[1])["messages"]
        self.assertEqual([message["role"] for message in stored], ["user", "assistant"])

    def test_an_answer_that_was_not_stored_is_stored_later(self):
        def refuse(route):
            if route.request.post_data_json["role"] == "assistant":
                route.fulfill(status=507, json={"error": {"message": "The disk is full.", "code": "not_stored"}})
            else:
                route.continue_()

        self.page.route("**/messages", refuse)
        self.say("plain hello")
        expect(self.page.locator(".problem")).to_have_text("The disk is full.")
        expect(self.answers).to_have_text(PLAIN)
        self.page.unroute("**/messages")
        self.say("plain more")
        expect(self.answers).to_have_count(2)
        self.done()
        self.page.reload()
        expect(self.answers).to_have_text([PLAIN, PLAIN])
        self.problems.clear()  # the browser notes the refusal

    def test_a_question_without_an_answer_can_get_one(self):
        self.page.route("**/v1/chat/completions", lambda route: route.abort())
        self.say("plain hello")
        expect(self.page.locator(".problem")).to_be_visible()
        self.page.unroute("**/v1/chat/completions")
        self.page.reload()
        self.button("Write an answer").click()
        self.done()
        expect(self.answers).to_have_text(PLAIN)
        self.problems.clear()  # the browser notes failed requests

    def test_another_answer_is_a_branch(self):
        self.say("plain hello")
        self.done()
        self.button("Write another answer").click()
        expect(self.page.get_by_label("Version 2 of 2")).to_be_visible()
        self.button("Earlier version").click()
        expect(self.page.get_by_label("Version 1 of 2")).to_be_visible()
        self.page.reload()
        expect(self.page.get_by_label("Version 1 of 2")).to_be_visible()

    def test_editing_a_message_is_a_branch(self):
        self.say("plain hello")
        self.done()
        self.say("plain more")
        self.done()
        expect(self.answers).to_have_count(2)
        first = self.page.locator(".message.user").first
        first.hover()
        first.get_by_role("button", name="Edit").click()
        area = self.page.get_by_label("Edit your message")
        expect(area).to_have_value("plain hello")
        area.fill("long other")
        area.press("Enter")
        self.done()
        expect(self.answers).to_have_count(1)
        expect(self.answers).to_have_text(SCRIPTS["long"])
        self.page.get_by_label("Version 2 of 2").hover()
        self.button("Earlier version").click()
        expect(self.answers).to_have_count(2)
        expect(self.page.locator(".message.user .said").first).to_have_text("plain hello")
        # The last message, from an empty line; Escape leaves it as it is.
        self.question.press("ArrowUp")
        expect(area).to_have_value("plain more")
        area.press("Escape")
        expect(self.page.locator(".message.user .said").last).to_have_text("plain more")

    def test_settings_are_sent_and_kept(self):
        self.button("Settings of this conversation").click()
        self.page.get_by_label("System prompt").fill("Be brief.")
        self.page.get_by_label("Longest answer").fill("3")
        for label, value in {"Temperature": "0.5", "Top p": "0.9", "Top k": "7", "Min p": "0.1", "Seed": "11"}.items():
            self.page.get_by_label(label).fill(value)
        self.page.wait_for_timeout(500)
        with self.page.expect_request("**/v1/chat/completions") as sent:
            self.say("plain hello")
        body = sent.value.post_data_json
        self.assertEqual(
            body["messages"], [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "plain hello"}]
        )
        self.assertEqual(
            {name: body[name] for name in ("temperature", "top_p", "top_k", "min_p", "seed", "max_completion_tokens")},
            {"temperature": 0.5, "top_p": 0.9, "top_k": 7, "min_p": 0.1, "seed": 11, "max_completion_tokens": 3},
        )
        self.done()
        expect(self.page.locator(".facts")).to_contain_text("3 tokens · cut at the longest length")
        self.picture("settings")
        self.page.reload()
        self.button("Settings of this conversation").click()
        expect(self.page.get_by_label("System prompt")).to_have_value("Be brief.")
        expect(self.page.get_by_label("Top k")).to_have_value("7")

    def test_a_model_without_a_template_goes_on(self):
        self.page.get_by_label("Model").select_option("base")
        expect(self.page.locator("#welcome")).to_contain_text("no chat template")
        with self.page.expect_request("**/v1/completions") as sent:
            self.say("some text <|plain|>")
        self.assertEqual(sent.value.post_data_json["prompt"], "some text <|plain|>")
        self.done()
        expect(self.answers).to_have_text(PLAIN)
        expect(self.page.locator(".facts")).to_contain_text("base")

    def test_tokens_are_counted(self):
        count = self.page.locator("#count")
        expect(count).to_have_text("0 / 1,024 tokens")
        self.question.fill("plain hi")
        messages = [{"role": "user", "content": "plain hi"}]
        expected = self.server.ask("tokenize", {"model": "script", "messages": messages})["count"]
        expect(count).to_have_text(f"{expected} / 1,024 tokens")
        self.question.fill("x" * 1100)
        expect(count).to_have_class("full")

    def test_errors_are_told_and_can_be_tried_again(self):
        problem = self.page.locator(".problem")
        self.page.route("**/v1/chat/completions", lambda route: route.abort())
        self.say("plain hello")
        expect(problem).to_contain_text("cannot be reached")
        self.page.unroute("**/v1/chat/completions")
        self.button("Try again").click()
        self.done()
        expect(self.answers).to_have_text(PLAIN)
        expect(problem).to_have_count(0)
        self.problems.clear()  # the browser notes failed requests

    def test_a_full_context_has_ways_on(self):
        # One message that is longer than the context: nothing is there to be summed up.
        problem = self.page.locator("#thread .problem")
        self.say("plain " + "x" * 1100)
        expect(problem).to_contain_text("context has 1024 tokens")
        expect(self.button("Try again")).to_have_count(0)
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            self.picture(f"full-{scheme}")
        self.page.set_viewport_size({"width": 390, "height": 844})
        self.page.keyboard.press("Escape")  # the list
        problem.scroll_into_view_if_needed()
        self.picture("full-phone")
        self.page.set_viewport_size({"width": 1280, "height": 720})
        with self.page.expect_request("**/v1/chat/completions") as sent:
            self.button("Go on without the oldest").click()
        self.assertEqual(sent.value.post_data_json["overflow"], "slide")
        self.done()
        expect(self.answers).to_have_text(PLAIN)
        expect(problem).to_have_count(0)
        # From here on, and after a reload.
        self.page.reload()
        self.say("plain again")
        self.done()
        expect(self.answers).to_have_text([PLAIN, PLAIN])
        expect(self.page.locator("#count")).not_to_have_class("full")
        self.button("Settings of this conversation").click()
        expect(self.page.get_by_label("When the context is full")).to_have_value("slide")
        self.problems.clear()  # the browser notes the refusal

    def test_a_full_context_is_summed_up(self):
        for said in (1, 2):
            self.say("plain " + "x" * 450)
            expect(self.answers).to_have_text([PLAIN] * said)
            self.done()
        self.button("Settings of this conversation").click()
        self.say("plain " + "x" * 450)
        expect(self.page.locator("#thread .problem")).to_contain_text("context has 1024 tokens")
        with self.page.expect_request("**/v1/chat/completions") as sent:
            self.button("Go on with a summary").click()
        self.assertEqual(sent.value.post_data_json["overflow"], "summarise")
        self.done()
        expect(self.answers).to_have_text([PLAIN] * 3)
        expect(self.page.get_by_label("When the context is full")).to_have_value("summarise")
        self.picture("full-settings")
        # It is this conversation's alone.
        self.button("New conversation").click()
        self.button("Settings of this conversation").click()
        expect(self.page.get_by_label("When the context is full")).to_have_value("")
        self.problems.clear()  # the browser notes the refusal

    def test_a_model_without_a_template_can_only_forget(self):
        self.page.get_by_label("Model").select_option("base")
        self.say("x" * 1100)
        expect(self.button("Go on without the oldest")).to_be_visible()
        expect(self.button("Go on with a summary")).to_have_count(0)
        self.button("Go on without the oldest").click()
        self.done()
        self.problems.clear()  # the browser notes the refusal

    def test_a_server_that_is_away_is_told_once(self):
        self.say("plain hello")
        self.done()
        self.page.route("**/v1/**", lambda route: route.abort())
        self.page.route("**/conversations**", lambda route: route.abort())
        self.say("plain more")
        alert = self.page.get_by_role("alert")
        expect(alert).to_contain_text("cannot be reached")
        self.page.wait_for_timeout(300)
        expect(alert).to_have_count(1)
        self.page.get_by_label("Search conversations").fill("hello")
        bar = self.page.locator("#dock .problem")
        expect(bar).to_contain_text("cannot be reached")
        self.picture("away")
        bar_box, composer_box = bar.bounding_box(), self.page.locator("#composer").bounding_box()
        self.assertEqual((bar_box["x"], bar_box["width"]), (composer_box["x"], composer_box["width"]))
        self.problems.clear()  # the browser notes failed requests

    def store_slowly(self):
        self.page.evaluate(
            "() => { const plain = fetch; window.fetch = async (url, options) => {"
            " if (options?.method === 'POST' && String(url).includes('/conversations'))"
            " await new Promise((done) => setTimeout(done, 700)); return plain(url, options); }; }"
        )

    def test_a_new_conversation_does_not_wait_for_the_last_one(self):
        self.store_slowly()
        self.say("long story")
        self.button("New conversation").click()
        self.say("plain hello")
        self.done()
        expect(self.answers).to_have_text(SCRIPTS["plain"])
        expect(self.titles().nth(0)).to_have_text("plain hello")
        expect(self.titles().nth(1)).to_have_text("long story")
        self.titles().nth(1).click()
        expect(self.answers).to_have_text(SCRIPTS["long"])

    def test_nothing_is_said_while_a_message_is_on_its_way(self):
        self.store_slowly()
        self.say("plain, told once")
        self.say("long story, told after it")
        expect(self.question).to_have_value("long story, told after it")
        self.done()
        expect(self.answers).to_have_text(SCRIPTS["plain"])
        self.question.press("Enter")
        expect(self.answers.last).to_have_text(SCRIPTS["long"])
        expect(self.titles().get_by_text("plain, told once")).to_have_count(1)
        expect(self.titles().get_by_text("long story, told after it")).to_have_count(0)

    def test_answers_go_on_while_others_are_read(self):
        self.say("long story")
        self.button("New conversation").click()
        self.say("plain hello")
        self.done()
        self.page.locator("#conversations").get_by_role("button", name="long story", exact=True).first.click()
        expect(self.answers).to_have_text(SCRIPTS["long"])
