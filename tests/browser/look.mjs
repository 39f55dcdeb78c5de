// Opens a page in a real browser and says what is there, as one JSON document on stdout. It judges nothing: the tests do.
//   node look.mjs PAGE FOLDER_FOR_ARTEFACTS NAME
import { mkdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [file, folder, name] = process.argv.slice(2);
const url = pathToFileURL(file).href;
const axe = createRequire(import.meta.url)("axe-core").source;
mkdirSync(folder, { recursive: true });
const artefact = (what) => `${folder}/${name}-${what}`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const said = { console: [], errors: [], requests: [], dialogs: 0, axe: {}, widths: {}, heights: {} };

const open = async (width, scheme, more = {}) => {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, ...more });
  const page = await context.newPage();
  page.on("console", (message) => said.console.push(message.text()));
  page.on("pageerror", (error) => said.errors.push(String(error)));
  page.on("request", (request) => { if (request.url() !== url) said.requests.push(request.url()); });
  page.on("dialog", (dialog) => { said.dialogs += 1; dialog.dismiss(); });
  await page.goto(url);
  return page;
};

const visible = (page, section) => page.evaluate((section) => {
  const rows = [...document.querySelectorAll(".examples")[section].querySelectorAll("tbody tr")];
  return rows.filter((row) => row.offsetParent !== null).map((row) => ({ ...row.dataset, cells: [...row.cells].map((cell) => cell.textContent.trim()) }));
}, section);

// As it is opened: the content security policy holds.
const page = await open(1280, "light");
said.title = await page.title();
said.verdict = await page.locator("h1").innerText();
said.headings = await page.locator("h2, h3, h4").allInnerTexts();
said.text = await page.evaluate(() => document.body.textContent);
said.size = statSync(file).size;
said.milliseconds = await page.evaluate(() => Math.round(performance.getEntriesByType("navigation")[0].loadEventEnd));
said.scripts = await page.locator("script").count();
said.elements = await page.evaluate(() => [...new Set([...document.querySelectorAll("*")].map((element) => element.localName))].sort());
said.handlers = await page.evaluate(() => [...document.querySelectorAll("*")].filter((element) => [...element.attributes].some((one) => one.name.startsWith("on") || one.name === "style")).length);
said.links = await page.evaluate(() => [...document.links].map((link) => link.getAttribute("href")));
said.planted = await page.evaluate(() => typeof window.planted);
said.charts = await page.evaluate(() => Object.fromEntries(["spark", "chart", "strip", "meter"].map((kind) => [kind, document.querySelectorAll(`svg.${kind}`).length])));
said.marks = await page.locator("mark").count();
await page.screenshot({ path: artefact("light.png"), fullPage: false });

// Every table of examples: its filters, one after the other, and its columns.
said.examples = [];
for (let section = 0; section < await page.locator(".examples").count(); section += 1) {
  const root = page.locator(".examples").nth(section);
  const found = { rows: await root.locator("tbody tr").count(), first: (await visible(page, section)).length, filters: {} };
  if (await root.locator(".all").isVisible()) {
    // By the keyboard alone.
    await root.locator(".all").focus();
    await page.keyboard.press("Enter");
  }
  found.all = (await visible(page, section)).length;
  for (const select of await root.locator("select").all()) {
    const member = (await select.getAttribute("class")).slice(2);
    const options = (await select.locator("option").allInnerTexts()).slice(1);
    const wanted = options[options.length - 1];
    await select.selectOption({ index: options.length });
    const rows = await visible(page, section);
    found.filters[member] = { wanted, shown: rows.length, right: rows.filter((row) => row[member] === wanted).length, said: await root.locator(".found").innerText() };
    await root.locator(".reset").click();
  }
  const last = (await visible(page, section)).at(-1);
  const key = last?.cells[2] ?? "";
  await root.locator(".f-text").fill(key);
  const matching = await visible(page, section);
  found.search = { key, shown: matching.length, right: matching.filter((row) => row.cells.join("").toLowerCase().includes(key.toLowerCase())).length };
  await root.locator(".reset").click();
  const heading = root.locator("thead th").nth(2);
  await heading.locator("button").focus();
  await page.keyboard.press("Enter");
  found.ascending = { sort: await heading.getAttribute("aria-sort"), keys: (await visible(page, section)).map((row) => row.cells[2]) };
  await page.keyboard.press("Enter");
  found.descending = { sort: await heading.getAttribute("aria-sort"), keys: (await visible(page, section)).map((row) => row.cells[2]) };
  said.examples.push(found);
}

// The keyboard comes to everything and is never caught.
await page.reload();
const focused = [];
for (let step = 0; step < 60; step += 1) {
  await page.keyboard.press("Tab");
  focused.push(await page.evaluate(() => { const at = document.activeElement; return at === document.body ? "" : `${at.localName}.${at.className}#${at.textContent.slice(0, 20)}`; }));
}
said.focused = focused;

const copy = page.locator("button.copy").first();
if (await copy.count()) {
  await copy.click();
  await page.waitForFunction(() => /Copied|Selected/.test(document.querySelector("button.copy").textContent));
  said.copy = await copy.innerText();
}
// What agrees is a line that unfolds: by the keyboard, and for whoever follows a link to it.
const folds = page.locator(".fold");
const unfolded = () => page.evaluate(() => [...document.querySelectorAll(".fold")].map((fold) => fold.open));
said.folds = { first: await unfolded(), lines: await page.evaluate(() => [...document.querySelectorAll(".fold:not([open])")].map((fold) => fold.innerText)) };
const folded = said.folds.first.indexOf(false);
if (folded >= 0) {
  await folds.nth(folded).locator("summary").first().focus();
  await page.keyboard.press("Enter");
  said.folds.entered = (await unfolded())[folded];
  await page.keyboard.press("Enter");
  said.folds.left = (await unfolded())[folded];
  await page.evaluate((place) => { location.hash = `#c${place + 1}`; }, folded);
  await page.waitForFunction((place) => document.querySelectorAll(".fold")[place].open, folded);
  await page.reload();
  await page.waitForFunction((place) => document.querySelectorAll(".fold")[place].open, folded);
  await page.goto(url);
  await page.reload();
}

// Paper shows everything, and what was folded is folded again after it.
const printed = () => page.evaluate(() => ({
  rows: [...document.querySelectorAll(".examples tbody tr")].filter((row) => row.offsetParent !== null).length,
  closed: document.querySelectorAll("details:not([open])").length,
}));
said.print = { before: await printed() };
await page.emulateMedia({ media: "print" });
await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
said.print.meanwhile = await printed();
await page.evaluate(() => dispatchEvent(new Event("afterprint")));
await page.emulateMedia({ media: null });
said.print.after = await printed();
said.print.all = await page.locator(".examples tbody tr").count();
await page.pdf({ path: artefact("printed.pdf"), format: "A4", printBackground: true });
said.pdf = statSync(artefact("printed.pdf")).size;

for (const [width, scheme] of [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]]) {
  // What looks for barriers is not this page's own script.
  const looked = await open(width, scheme, { bypassCSP: true });
  const height = await looked.evaluate(() => document.documentElement.scrollHeight);
  await looked.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
  await looked.evaluate(axe);
  const result = await looked.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const view = `${width}-${scheme}`;
  said.axe[view] = result.violations.map((one) => `${one.id}: ${one.help} (${one.nodes.length}): ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
  said.heights[view] = height;
  said.widths[view] = await looked.evaluate(() => document.documentElement.scrollWidth);
  await looked.screenshot({ path: artefact(`${view}.png`), fullPage: false });
  await looked.context().close();
}

const plain = await open(1280, "light", { javaScriptEnabled: false });
said.plain = { verdict: await plain.locator("h1").innerText(), rows: await plain.locator(".examples tbody tr:visible").count(), filters: await plain.locator(".filters:visible").count() };
await browser.close();
console.log(JSON.stringify(said));
