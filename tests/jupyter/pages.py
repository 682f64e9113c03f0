"""Exported pages in a browser: no error, tables and plots, headings in order, names, contrast, no network, a phone."""

import os
import subprocess
import tempfile
from pathlib import Path

from browser import page as opened

TIMELAB = os.environ["TIMELAB"]

# The contrast of every text with the first background behind it (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const lum = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length && (c.length < 4 || c[3] > 0)) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest('svg') || !e.getClientRects().length) continue;
    const [a, b] = [lum(parse(getComputedStyle(e).color)), lum(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(`${e.tagName} ${e.className} ${ratio.toFixed(2)}: ${e.textContent.slice(0, 40)}`);
  }
  return bad;
}"""

HEADINGS = "() => [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((h) => Number(h.tagName[1]))"


def check(page, path):
    wrong, asked = [], []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
    page.goto(f"file://{path}")
    assert not wrong, wrong
    assert not asked, asked
    assert page.locator("table").count() > 0 and page.locator("table th[scope=col]").count() > 0
    assert page.locator("details > summary").count() > 3
    levels = page.evaluate(HEADINGS)
    assert levels.count(1) == 1 and levels[0] == 1, levels
    assert all(next <= before + 1 for before, next in zip(levels, levels[1:])), levels
    assert page.locator("html[lang]").count() == 1 and page.title()
    for drawing in page.locator("main svg").all():
        name = drawing.get_attribute("aria-label") or drawing.locator("title").count()
        assert name, "a drawing has a name"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        bad = page.evaluate(CONTRAST)
        assert not bad, (scheme, bad[:5])
    page.set_viewport_size({"width": 360, "height": 700})
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= 360, f"{wide} pixels on a phone"


with tempfile.TemporaryDirectory() as folder, opened(viewport={"width": 1000, "height": 900}) as page:
    drawings = 0
    for number in ("01", "02", "03"):
        [tutorial] = Path("scripts").glob(f"{number}-*.md")
        path = Path(folder) / f"{tutorial.stem}.html"
        command = [TIMELAB, "export", str(tutorial), "--to", "html", "--trust", "-o", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        check(page, path)
        drawings += page.locator("figure svg").count()
    assert drawings > 0, "no plot in three tutorials"
