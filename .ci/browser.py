#!/usr/bin/env python3
"""Opens reports of runs in headless Chromium, as a reader does, and fails at the first thing that is not right.

    browser.py [--shots DIR] [--has PARTS] REPORT...      needs chromium and chromedriver, and nothing but Python's own library

Each report is looked at 360 and 1280 pixels wide, light and dark: no error on the console, no request but for the file
itself, every picture decoded, every plot drawn and not empty, nothing wider than the window; the slider changes the
picture, plots answer to the pointer and to keys, the button changes the theme, links find their sections. --shots leaves
pictures of the pages; --has names parts that must be there: pictures, plots, slider, metrics. Prints SKIPPED and why where there is no browser.
"""
import argparse
import base64
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

WIDTHS = {"phone": 360, "desktop": 1280}
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars""".split()

# What is wrong with a page as it stands; nothing if all is well.
LOOK = """
const wrong = [], root = document.documentElement;
const box = (e) => e.getBoundingClientRect();
if (root.scrollWidth > innerWidth) {
  const wide = [...document.body.querySelectorAll("*")].filter((e) => box(e).right > innerWidth + 1 && !e.closest(".scroll,pre,nav,.equation"));
  wrong.push(`${root.scrollWidth} pixels wide in a window of ${innerWidth}: ${wide.slice(0, 3).map((e) => e.outerHTML.slice(0, 90))}`);
}
const images = [...document.images], plots = [...document.querySelectorAll(".plot")];
for (const i of images) {
  const seen = !i.closest("details:not([open])");
  if (!i.complete || !i.naturalWidth || (seen && (box(i).width < 20 || box(i).height < 20))) wrong.push(`picture ${i.alt}`);
  if (!i.alt) wrong.push("a picture without words");
}
for (const p of plots) {
  const svg = p.querySelector("svg"), title = p.querySelector("h3").textContent;
  if (p.closest("details:not([open])")) continue;
  if (box(svg).width < 150 || box(svg).height < 100) wrong.push(`plot ${title} is ${box(svg).width} x ${box(svg).height}`);
  const drawn = [...svg.querySelectorAll(".line,.bar,.fill")].filter((d) => d.getTotalLength() > 0 || d.getAttribute("d").endsWith("h0"));
  if (!drawn.length && !p.textContent.includes("no data")) wrong.push(`plot ${title} is empty`);
  for (const d of drawn) {
    const stroke = getComputedStyle(d).stroke, fill = getComputedStyle(d).fill;
    if (stroke === "none" && fill === "none") wrong.push(`plot ${title} has no colour`);
  }
  const texts = [...p.querySelectorAll(".xs span")].map(box);
  if (texts.some((t, i) => i && t.left < texts[i - 1].right)) wrong.push(`numbers under ${title} run into each other`);
}
if (!document.querySelector("h1").textContent) wrong.push("no title");
for (const a of document.querySelectorAll("nav a")) {
  if (!document.getElementById(a.getAttribute("href").slice(1))) wrong.push(`nothing at ${a.href}`);
}
return { wrong, images: images.length, plots: plots.length, paper: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(document.body).color };
"""


class Browser:
    """A session with chromedriver, by the WebDriver protocol."""

    def __init__(self, driver, chromium):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.profile = tempfile.mkdtemp(prefix="ganvil-browser-")
        self.process = subprocess.Popen([driver, f"--port={self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        options = {"args": FLAGS + [f"--user-data-dir={self.profile}"], "binary": chromium}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        for _ in range(100):
            try:
                self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
                return
            except ConnectionRefusedError:
                time.sleep(0.1)
        raise RuntimeError("chromedriver does not answer")

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        value = json.loads(connection.getresponse().read())["value"]
        connection.close()
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(f"{value['error']}: {value['message']}")
        return value

    def do(self, what, body):
        return self.call("POST", f"/session/{self.session}/{what}", body)

    def run(self, script, *args):
        return self.do("execute/sync", {"script": script, "args": list(args)})

    def chrome(self, command, **params):
        return self.do("goog/cdp/execute", {"cmd": command, "params": params})

    def log(self, kind):
        return self.do("se/log", {"type": kind})

    def open(self, url, width, theme):
        # What the browser's own first page fetches is not the report's.
        self.do("url", {"url": "about:blank"})
        time.sleep(0.2)
        self.log("performance"), self.log("browser")
        self.chrome("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600)
        self.chrome("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.do("url", {"url": url})
        self.run("localStorage.clear()")
        self.do("url", {"url": url})
        self.until("return document.readyState === 'complete' && [...document.images].every((i) => i.complete)")

    def until(self, script, *args):
        for _ in range(100):
            if self.run(script, *args):
                return
            time.sleep(0.05)
        raise AssertionError(f"waited in vain for: {script}")

    def shoot(self, path):
        height = self.run("return document.documentElement.scrollHeight")
        width = self.run("return innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 16000), "scale": 1}
        data = self.chrome("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        try:
            self.call("DELETE", f"/session/{self.session}")
        except (OSError, RuntimeError, AttributeError):
            pass
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.profile, ignore_errors=True)


def quiet(browser, url):
    """Nothing on the console, and nothing fetched but the page."""
    said = [e["message"] for e in browser.log("browser") if e["level"] in ("WARNING", "SEVERE")]
    assert not said, f"on the console: {said}"
    events = [json.loads(e["message"])["message"] for e in browser.log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    others = [u[:120] for u in asked if not u.startswith(("data:", "chrome:")) and u.split("#")[0] != url]
    assert not others, f"fetched: {others}"
    assert url in [u.split("#")[0] for u in asked], "the log of requests has not even the page"


def slide(browser):
    """Every point of the slider shows another picture, and Play moves on by itself."""
    if not browser.run("return !!document.querySelector('.slide')"):
        return 0
    seen = browser.run("""
        const slider = document.querySelector(".slide input"), image = document.querySelector(".frames img.shown"), seen = [];
        for (let i = 0; i <= +slider.max; i++) {
          slider.value = i;
          slider.dispatchEvent(new Event("input", { bubbles: true }));
          seen.push([image.src, image.alt, image.parentElement.querySelector("figcaption").textContent]);
        }
        return seen;""")
    assert len({s[0] for s in seen}) == len(seen) > 1, "the slider does not change the picture"
    assert len({s[1] for s in seen}) == len(seen) and all(s[1] == s[2] for s in seen), "captions do not follow"
    browser.until("const i = document.querySelector('.frames img.shown'); return i.complete && i.naturalWidth > 0")
    # From its end Play begins anew.
    browser.run("document.querySelector('.play').click()")
    browser.until("return document.querySelector('.frames img.shown').src === arguments[0]", seen[-1][0])
    browser.until("return document.querySelector('.play').getAttribute('aria-label') === 'Play'")
    return len(seen)


def point(browser):
    """Plots show values where they are pointed at, and take them back."""
    wrong = browser.run("""
        const wrong = [];
        for (const plot of document.querySelectorAll(".plot")) {
          if (plot.closest("details:not([open])")) continue;
          const area = plot.querySelector(".area"), at = plot.querySelector(".at"), title = plot.querySelector("h3").textContent;
          const box = area.getBoundingClientRect(), before = plot.querySelector(".keys").textContent;
          const event = (name, part) => area.dispatchEvent(new PointerEvent(name, { clientX: box.left + part * box.width, clientY: box.top + 5, bubbles: true }));
          const texts = [0.02, 0.98].map((part) => (event("pointermove", part), at.textContent));
          const data = JSON.parse(plot.querySelector("script").textContent);
          if (!texts[0] || (data.x.length > 1 && texts[0] === texts[1])) wrong.push(`${title}: '${texts}'`);
          if (!area.querySelector(".cursor")) wrong.push(`${title} has no cursor`);
          event("pointerleave", 0);
          if (at.textContent || plot.querySelector(".keys").textContent !== before) wrong.push(`${title} keeps its values`);
          area.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
          if (!at.textContent) wrong.push(`${title} does not answer to keys`);
          area.dispatchEvent(new Event("blur"));
        }
        return wrong;""")
    assert not wrong, wrong


def dark(colour):
    """Whether a colour, `rgb(r, g, b)`, is."""
    return sum(int(v) for v in colour[colour.index("(") + 1 : -1].split(",")[:3]) < 3 * 128


# Where the parts of a page are that not every run has.
PARTS = {"pictures": "img", "plots": ".plot", "slider": ".slide input", "metrics": "#quality table"}


def look(browser, report, shots, parts):
    url = report.resolve().as_uri()
    for where, width in WIDTHS.items():
        for theme in ("light", "dark"):
            browser.open(url, width, theme)
            found = browser.run(LOOK)
            assert not found["wrong"], f"{width} wide, {theme}: {found['wrong']}"
            missing = [p for p in parts if not browser.run("return !!document.querySelector(arguments[0])", PARTS[p])]
            assert not missing, f"it has no {missing}"
            is_dark = theme == "dark"
            assert dark(found["paper"]) == is_dark != dark(found["ink"]), f"{theme} is {found['paper']}, {found['ink']}"
            if shots:
                browser.shoot(shots / f"{report.parent.name}-{where}-{theme}.png")
            browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            found = browser.run(LOOK)
            assert not found["wrong"], f"{width} wide, {theme}, unfolded: {found['wrong']}"
            point(browser)
            slides = slide(browser)
            browser.run("document.querySelector('.theme').click()")
            after = browser.run(LOOK)
            assert dark(after["paper"]) != is_dark and not after["wrong"], f"the theme stays {after['paper']}, {after['wrong']}"
            browser.run("document.querySelector('.theme').click()")
            assert dark(browser.run(LOOK)["paper"]) == is_dark, "the theme does not come back"
            section = browser.run("const a = [...document.querySelectorAll('nav a')].pop(); a.click(); return a.getAttribute('href').slice(1)")
            browser.until("const r = document.getElementById(arguments[0]).getBoundingClientRect(); return r.top < innerHeight && r.bottom > 0", section)
            quiet(browser, url)
    print(f"{report}: {found['images']} pictures, {found['plots']} plots, {slides} points of the slider; {report.stat().st_size / 1e6:.2f} MB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("reports", nargs="+", type=pathlib.Path)
    parser.add_argument("--shots", type=pathlib.Path)
    parser.add_argument("--has", type=lambda text: text.split(","), default=[], metavar="PARTS")
    args = parser.parse_args()
    if unknown := set(args.has) - set(PARTS):
        parser.error(f"--has: no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        return print(f"SKIPPED: there is no {'chromedriver' if chromium else 'chromium'}")
    # A proxy is not for the driver's own port.
    os.environ["no_proxy"] = "127.0.0.1"
    browser = Browser(driver, chromium)
    try:
        for report in args.reports:
            look(browser, report, args.shots, args.has)
    except AssertionError as e:
        sys.exit(f"{report}: {e}")
    finally:
        browser.close()


main()
