"""A headless browser for the tests: Chromium by Playwright. Without them the test is skipped: exit status 77."""

import shutil
import sys
from contextlib import contextmanager


@contextmanager
def page(**context):
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        print("no Python package playwright")
        sys.exit(77)
    with sync_playwright() as playwright:
        own = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        try:
            browser = playwright.chromium.launch(executable_path=own, args=["--no-sandbox"])
        except Error as error:
            print(f"no browser: {error.message.splitlines()[0]}")
            sys.exit(77)
        yield browser.new_context(**context).new_page()
        browser.close()
