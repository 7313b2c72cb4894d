"""A real headless Chromium, and what is seen when it shows a page."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # as root in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

LOOK = """
const found = [];
const seen = (e) => e.checkVisibility() && e.getBoundingClientRect().width > 0;
if (document.documentElement.dataset.ran) found.push('ran a script');
for (const e of document.querySelectorAll('script, img, iframe, object, embed, link, base, form, a[href^="javascript"]'))
  found.push('holds ' + e.outerHTML.slice(0, 60));
for (const e of document.querySelectorAll('*'))
  for (const a of e.attributes) if (a.name.startsWith('on')) found.push('holds the handler ' + a.name);
for (const e of document.querySelectorAll('svg.chart')) {
  const box = e.getBoundingClientRect();
  if (!seen(e) || box.width < 40 || box.height < 20) found.push('has a chart that is not seen');
  const drawn = [...e.querySelectorAll('path:not(.grid)')].map((p) => p.getBoundingClientRect());
  if (!drawn.some((b) => b.width > 1 || b.height > 1)) found.push('has an empty chart');
}
for (const line of document.querySelectorAll('.x')) {
  const ticks = [...line.querySelectorAll('span')].filter(seen).map((e) => e.getBoundingClientRect());
  for (let i = 1; i < ticks.length; i++)
    if (ticks[i].left < ticks[i - 1].right + 2) found.push('has ticks that overlap: ' + line.textContent.trim());
  for (const t of ticks)
    if (t.right > innerWidth || t.left < 0) found.push('has a tick off the screen: ' + line.textContent.trim());
}
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const e = texts.currentNode.parentElement;
  if (texts.currentNode.data.trim() && seen(e) && e.tagName !== 'SUP' && parseFloat(getComputedStyle(e).fontSize) < 12)
    found.push('has tiny text: ' + texts.currentNode.data.trim().slice(0, 40));
}
return [...new Set(found)];
"""
"""What is seen from within: scripts, elements that load, charts, ticks and sizes of text."""


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Starts a browser with a profile of its own, and ends it.

    Args:
        folder: for the profile; new.
    """
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    driver = os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")
    if not program or not driver:
        raise RuntimeError("There is no Chromium with its driver here. Run: sh scripts/install-chromium.sh")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(executable_path=driver))
    try:
        started.get("about:blank")  # away from the browser's own first page
        yield Browser(started)
    finally:
        started.quit()


@dataclass
class Browser:
    """A browser, and all that happened since the page was opened."""

    driver: webdriver.Chrome
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def open(self, page: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Shows a file on a screen of this width in CSS pixels."""
        self._logs()
        self.requests, self.console = [], []
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(page.resolve().as_uri())
        self._logs()

    def run(self, script: str, *arguments: Any) -> Any:
        """Evaluates JavaScript as the driver does, which the page's policy does not bind."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self) -> str:
        """All text of the page, also of what is folded."""
        return str(self.run("return document.body.textContent"))

    def overflow(self) -> int:
        """Pixels by which the page is wider than the screen."""
        return int(self.run("return document.documentElement.scrollWidth - window.innerWidth"))

    def faults(self) -> list[str]:
        """Says all that a page of ours may not do or look like; empty where it is as it should be."""
        others = [url for url in self.requests if url != self.driver.current_url]
        found = [f"asked for {url}" for url in others]
        found += [f"wrote to the console: {line}" for line in self.console]
        if self.overflow() > 0:
            found.append(f"is {self.overflow()} pixels wider than the screen")
        return found + list(self.run(LOOK))

    def screenshot(self, file: Path) -> None:
        """Takes a picture of the whole page."""
        size = self.run("return [window.innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        taken = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
        )
        file.write_bytes(base64.b64decode(taken["data"]))

    def _logs(self) -> None:
        self.console += [entry["message"] for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
