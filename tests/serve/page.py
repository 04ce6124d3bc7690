"""Opens the page of a server in headless Chromium, scores a user and two items, and looks at what it shows.

page.py HOST:PORT CHROMIUM CHROMEDRIVER
"""

import json
import sys
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


def main():
    address, chromium, driver = sys.argv[1:4]
    options = Options()
    options.binary_location = chromium
    for flag in ["headless", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        look(browser, address)
    finally:
        browser.quit()
    print("the page is right")


def look(browser, address):
    wait = WebDriverWait(browser, 20)
    browser.get(f"http://{address}/")
    wait.until(lambda page: page.find_elements(By.NAME, "2/item_id"))
    assert browser.find_element(By.ID, "models").text.count("READY") == 1
    values = {"0/user_id": "u7", "1/item_id": "i1", "2/item_id": "i2", "2/price": "20", "score": "click - order"}
    for name, text in values.items():
        (browser.find_elements(By.NAME, name) or browser.find_elements(By.ID, name))[0].send_keys(text)
    browser.find_element(By.ID, "go").click()
    wait.until(lambda page: page.find_element(By.ID, "answer").is_displayed())
    rows = [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in browser.find_elements(By.CSS_SELECTOR, "#scores tbody tr")]
    body = {
        "scenario": browser.find_element(By.ID, "scenario").get_attribute("value"),
        "user": {"user_id": "u7"},
        "items": [{"item_id": "i1"}, {"item_id": "i2", "price": 20}],
        "score": "click - order",
    }
    request = urllib.request.Request(f"http://{address}/rank", json.dumps(body).encode())
    expected = json.load(urllib.request.urlopen(request, timeout=10))["items"]
    for row, item in zip(rows, expected, strict=True):
        shown = [float(cell) for cell in row[1:]]
        for number, told in zip(shown, [item["scores"]["click"], item["scores"]["order"], item["score"]], strict=True):
            assert abs(number - told) <= 1e-3 * max(abs(told), 1e-3), (row, item)
    gates = browser.find_element(By.ID, "gates").text
    for word in ["gate shared", "attention san", "gate task, order", "home", "specific 1"]:
        assert word in gates, f"no {word} in {gates}"
    wait.until(lambda page: "/rank" in page.find_element(By.ID, "latency").text)
    wait.until(lambda page: "hinet" in page.find_element(By.ID, "traffic").text)
    browser.find_element(By.NAME, "2/price").send_keys("x")
    browser.find_element(By.ID, "go").click()
    wait.until(lambda page: "price" in page.find_element(By.ID, "problem").text)
    log = [line for line in browser.get_log("browser") if "status of 400" not in line["message"]]
    assert not log, log
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded and all(name.startswith(f"http://{address}/") for name in loaded), loaded


main()
