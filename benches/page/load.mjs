// Opens a page in headless Chromium some times, each in a browser of its own, and says in milliseconds since the navigation began
// when it was loaded and when its first filter had worked, as one JSON document.
//   node load.mjs PAGE TIMES
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const driver = new URL("../../tests/browser/package.json", import.meta.url);
const { chromium } = createRequire(driver)("playwright-core");
const [file, times] = process.argv.slice(2);
const loads = [];
for (let time = 0; time < Number(times); time += 1) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(pathToFileURL(file).href);
  loads.push(await page.evaluate(() => new Promise((done) => {
    const section = document.querySelector(".examples");
    const text = section.querySelector(".f-text");
    text.value = "no row holds this";
    text.dispatchEvent(new Event("input"));
    const works = section.querySelector(".found").value.startsWith("0 of ");
    // Once more is drawn: what a person sees.
    requestAnimationFrame(() => setTimeout(() => {
      const loaded = performance.getEntriesByType("navigation")[0].loadEventEnd;
      done({ works, loaded, interactive: performance.now(), elements: document.querySelectorAll("*").length });
    }));
  })));
  await browser.close();
}
console.log(JSON.stringify(loads));
