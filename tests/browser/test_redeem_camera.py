"""The redeem page's camera (R071): used where the browser really can read codes, hidden where it only says so.

The test Chromium has neither a camera nor a detector, so both are played: a canvas's stream, and a detector that sees
what the test shows it. What is tried is the page's own part: asking, reading, refusing, letting go.
"""

import pytest

from tests.browser.test_walk import coffee_code, sign_in

CAMERA = """
window.seen = [];
window.BarcodeDetector = class {
  static getSupportedFormats() { return Promise.resolve(FORMATS); }
  detect(source) {
    if (DETECTS) { return Promise.resolve(source.tagName === 'VIDEO' ? window.seen.map(rawValue => ({rawValue})) : []); }
    return Promise.reject(new DOMException('no service', 'NotSupportedError'));
  }
};
window.asked = 0;
window.tracks = [];
Object.defineProperty(navigator, 'mediaDevices', {value: {getUserMedia() {
  window.asked += 1;
  if (!ALLOWED) { return Promise.reject(new DOMException('no', 'NotAllowedError')); }
  const canvas = document.createElement('canvas');
  canvas.width = 64; canvas.height = 48; canvas.getContext('2d').fillRect(0, 0, 64, 48);
  const stream = canvas.captureStream(5);
  window.tracks = stream.getTracks();
  return Promise.resolve(stream);
}}});
"""


def with_camera(w, *, formats="['qr_code']", detects=True, allowed=True):
    script = CAMERA.replace("FORMATS", formats).replace("DETECTS", str(detects).lower())
    w.page.add_init_script(script.replace("ALLOWED", str(allowed).lower()))


def test_R071_the_camera_is_asked_for_after_a_tap_and_reads_one_code_once(window, house, story):
    with window("phone", allow=("409",)) as w:
        code = coffee_code(w, story)
        with_camera(w)
        sign_in(w, house)
        page = w.page
        page.locator("#camera").wait_for(state="visible")
        assert page.evaluate("window.asked") == 0
        page.click("#camera")
        page.locator("#view").wait_for(state="visible")
        assert page.evaluate("window.asked") == 1
        page.evaluate("code => { window.seen = ['https://pay.example.com/v/' + code]; }", code)
        page.wait_for_selector("#answer [data-result=used_now]")
        w.shot("redeem-camera")
        page.evaluate("() => { window.seen = []; }")
        page.click("#camera")
        page.locator("#view").wait_for(state="hidden")
        assert page.evaluate("window.tracks.map(track => track.readyState)") == ["ended"]
        assert page.locator("#recent li").count() >= 1


def test_R071_a_refused_camera_is_told_and_the_field_goes_on(window, house):
    with window("phone") as w:
        with_camera(w, allowed=False)
        sign_in(w, house)
        page = w.page
        page.click("#camera")
        page.locator("#no-camera").wait_for(state="visible")
        assert page.inner_text("#no-camera") == "摄像头不可用，可直接输入或用扫码枪"
        assert not page.locator("#view").is_visible()
        page.fill("#f-code", "H7KQ2M9WXT4B6")
        assert page.locator("#code-fault").is_visible()


@pytest.mark.parametrize(
    "browser", [{"detects": False}, {"formats": "[]"}, {"formats": "['ean_13']"}], ids=["name-only", "nothing", "no-qr"]
)
def test_R071_a_detector_that_cannot_is_not_offered(window, house, browser):
    with window("phone") as w:
        with_camera(w, **browser)
        sign_in(w, house)
        w.page.locator("#sound").wait_for(state="visible")
        w.page.evaluate("() => new Promise(done => setTimeout(done, 0))")
        assert w.page.locator("#camera").is_hidden()
