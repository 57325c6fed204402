"""What must hold for any page, asked of a real browser: axe's rules, large targets, one title, no sideways scrolling."""

from functools import cache
from pathlib import Path

import axe_playwright_python

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]

SMALL = """() => [...document.querySelectorAll('a, button, summary, input:not([type=hidden]), select, textarea')]
  .filter(one => one.checkVisibility({checkOpacity: false}) && !one.closest('.skip'))
  .map(one => { const label = one.labels && one.labels[0];
    const byLabel = ['checkbox', 'radio'].includes(one.type) || one.type === 'file' && one.offsetHeight < 43.5;
    const box = (byLabel && label ? label : one).getBoundingClientRect();
    return [one.textContent.trim().slice(0, 40) || one.name, Math.round(box.width), box.height, one.closest('p, li.text, td') && one.tagName === 'A']; })
  .filter(([, width, height, inText]) => !inText && (height < 43.5 || width < 24))
  .map(([name, width, height]) => `${name} ${width}x${height}`)"""
"""Targets below 44 px; a link inside a sentence or a table's cell is text (WCAG 2.5.8 leaves it out)."""

FACTS = """() => ({
  title: document.title.trim().length > 0,
  lang: document.documentElement.lang,
  h1: document.querySelectorAll('h1').length,
  inline: [...document.querySelectorAll('*')].filter(one => [...one.attributes].some(a => a.name === 'style' || a.name.startsWith('on'))).map(one => one.outerHTML.slice(0, 90)),
  scripts: [...document.scripts].filter(one => !one.src).length,
  dataUrls: [...document.querySelectorAll('[src^="data:"], [href^="data:"]')].length,
  small: [...document.querySelectorAll('body *')].filter(one => one.checkVisibility() && [...one.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())
    && parseFloat(getComputedStyle(one).fontSize) < 12).map(one => one.textContent.trim().slice(0, 40)),
  wide: document.documentElement.scrollWidth <= window.innerWidth ? '' : [...document.querySelectorAll('body *')]
    .filter(one => one.getBoundingClientRect().right > window.innerWidth + 1).map(one => one.outerHTML.slice(0, 80)).join(' | ')
    || [...document.querySelectorAll('body *')].filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.outerHTML.slice(0, 200)).join(' | ') || 'something'
})"""

TAB_ORDER = """() => [...document.querySelectorAll('[tabindex]')].filter(one => one.tabIndex > 0).length"""


@cache
def _axe():
    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")


def axe_says(page):
    """Every broken rule of axe-core with the elements that break it; empty for a good page."""
    page.evaluate(_axe())
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", RULES
    )
    return [
        f"{one['impact']} {one['id']}: {node['html'][:120]}" for one in found["violations"] for node in one["nodes"][:3]
    ]


def faults(page, language):
    """What is wrong with the page as it stands, in words; empty for a good one."""
    facts = page.evaluate(FACTS)
    wrong = [f"axe: {line}" for line in axe_says(page)]
    wrong += [f"small target: {line}" for line in page.evaluate(SMALL)]
    wrong += [f"inline: {line}" for line in facts["inline"]]
    wrong += [f"text under 12 px: {line}" for line in facts["small"]]
    expected = {"title": True, "lang": language, "h1": 1, "scripts": 0, "dataUrls": 0, "wide": ""}
    wrong += [f"{name} is {facts[name]}" for name, value in expected.items() if facts[name] != value]
    if page.evaluate(TAB_ORDER):
        wrong.append("a tabindex above 0")
    return wrong
