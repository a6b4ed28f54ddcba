"""The frame: keyboard, colours, phone, API key, names for those who listen."""

from browser import *


class Frame(PageTest):
    def test_keyboard(self):
        expect(self.question).to_be_focused()
        self.question.fill("plain a")
        self.question.press("Shift+Enter")
        self.page.keyboard.type("b")
        expect(self.question).to_have_value("plain a\nb")
        self.question.press("Enter")
        self.done()
        self.page.keyboard.press("Control+k")
        expect(self.page.get_by_label("Search conversations")).to_be_focused()
        self.page.keyboard.press("Control+Shift+O")
        expect(self.question).to_be_focused()
        expect(self.page.locator("#welcome")).to_be_visible()
        self.page.keyboard.press("Control+b")
        expect(self.page.locator("#sidebar")).to_be_hidden()
        self.page.keyboard.press("Control+b")
        self.page.keyboard.press("Control+.")
        expect(self.page.get_by_label("System prompt")).to_be_focused()
        self.page.keyboard.press("Escape")
        expect(self.page.locator("#panel")).to_be_hidden()
        self.page.keyboard.press("Control+i")
        expect(self.button("Show answers as tokens")).to_have_attribute("aria-pressed", "true")
        self.page.keyboard.press("Control+/")
        expect(self.page.get_by_role("dialog")).to_contain_text("New conversation")
        self.picture("help")
        self.page.keyboard.press("Escape")
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def ground(self):
        return self.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

    def test_colours_follow_the_system_until_told_otherwise(self):
        light = self.ground()
        self.page.emulate_media(color_scheme="dark")
        dark = self.ground()
        self.assertNotEqual(light, dark)
        self.button("Colours: as the system has them").click()
        self.assertEqual(self.ground(), light)
        self.button("Colours: light").click()
        self.page.emulate_media(color_scheme="light")
        self.assertEqual(self.ground(), dark)
        self.page.reload()
        self.assertEqual(self.ground(), dark)

    def test_text_can_be_read_in_both_colours(self):
        self.say("markdown please")
        self.done()
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            self.picture(scheme)
            # WCAG's contrast of every text with what is painted behind it.
            poor = self.page.evaluate("""() => {
                const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
                const rgb = (...colours) => {
                    paint.clearRect(0, 0, 1, 1);
                    for (const colour of colours) { paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1); }
                    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
                };
                const light = (c) => c.map((x) => x / 255).map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
                    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
                const poor = [];
                for (const element of document.querySelectorAll('body *')) {
                    if (![...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !element.checkVisibility({opacityProperty: true})
                        || element.closest('.hidden-from-sight, noscript, option')) continue;
                    const grounds = [];
                    for (let at = element; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
                    const a = light(rgb(...grounds)), b = light(rgb(...grounds, getComputedStyle(element).color));
                    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                    if (contrast < 4.5) poor.push(`${element.tagName}.${element.className} ${element.textContent.slice(0, 20)}: ${contrast.toFixed(2)}`);
                }
                return poor;
            }""")
            self.assertEqual(poor, [], scheme)

    def test_everything_has_a_name(self):
        self.say("markdown please")
        self.done()
        self.button("Show answers as tokens").click()
        self.page.locator(".token").nth(2).click()
        expect(self.page.locator(".attended")).to_be_visible()
        nameless = self.page.evaluate(
            """() => [...document.querySelectorAll('button, input, select, textarea, [role=button]')]
            .filter((e) => e.checkVisibility() && !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))
            .map((e) => e.outerHTML.slice(0, 100))"""
        )
        self.assertEqual(nameless, [])
        ids = self.page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
        self.assertEqual(len(ids), len(set(ids)))


class Phone(PageTest):
    context_options = PHONE

    def overflow(self):
        return self.page.evaluate("document.documentElement.scrollWidth - innerWidth")

    def test_usable_on_a_phone(self):
        expect(self.page.locator("#sidebar")).to_be_hidden()
        self.question.fill("markdown please")
        self.question.press("Enter")
        expect(self.question).to_have_value("markdown please\n")
        self.page.get_by_role("button", name="Send").tap()
        self.done()
        self.assertEqual(self.overflow(), 0)
        self.picture("phone")
        self.button("Show or hide the conversations").tap()
        expect(self.titles()).to_have_text(["markdown please"])
        self.picture("phone-list")
        self.titles().tap()
        expect(self.page.locator("#sidebar")).to_be_hidden()
        self.button("Show answers as tokens").tap()
        self.page.locator(".token").nth(4).tap()
        expect(self.page.locator(".attended > span").first).to_be_visible()
        expect(self.page.locator("#token-card")).to_be_hidden()
        self.assertEqual(self.overflow(), 0)
        self.picture("phone-attention")
        for button in self.page.locator("#bar button:visible, #send").all():
            box = button.bounding_box()
            self.assertGreaterEqual(min(box["width"], box["height"]), 30)


class Keys(PageTest):
    options = ["--api-key", "secret"]

    def test_the_key_is_asked_for(self):
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("API key").fill("wrong")
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_contain_text("not one of the server's")
        dialog.get_by_label("API key").fill("secret")
        dialog.get_by_label("API key").press("Enter")
        self.say("plain hello")
        self.done()
        self.page.reload()
        expect(self.answers).to_have_count(1)
        # Another tab asks again, for the key was not to be remembered.
        expect(self.open().get_by_role("dialog")).to_be_visible()
        self.problems.clear()  # the browser notes refusals
