// What a reader of the kept report meets: see run.sh. Prints a line for each look, and what is wrong; exits 1 then.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { HtmlValidate } from "html-validate";
import { Chromium } from "./chromium.mjs";

const require = createRequire(import.meta.url);
const file = process.argv[2] ?? fileURLToPath(new URL("report.html", import.meta.url));
const url = pathToFileURL(file).href;
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const wrong = [];
const expect = (holds, what) => { if (!holds) wrong.push(what); };

const LOOKS = [
  { name: "light", scheme: "light", width: 1280 },
  { name: "dark", scheme: "dark", width: 1280 },
  { name: "narrow", scheme: "light", width: 360 },
  { name: "narrow-dark", scheme: "dark", width: 360 },
];

async function validate() {
  const rules = {
    extends: ["html-validate:standard"],
    // A matter of taste: the templates are read as they are, and what is scrolled has to be reached by the keyboard.
    rules: { "long-title": "off", "no-trailing-whitespace": "off", "prefer-native-element": "off", "tel-non-breaking": "off" },
  };
  const report = await new HtmlValidate(rules).validateString(readFileSync(file, "utf8"), file);
  for (const { messages } of report.results) {
    for (const { line, column, message, ruleId } of messages) wrong.push(`${line}:${column}: ${message} (${ruleId})`);
  }
}

// What the page did that it may not do: anything but be there.
function acts(chromium) {
  return chromium.heard.flatMap(({ method, params }) => {
    switch (method) {
      case "Network.requestWillBeSent": return params.request.url === url ? [] : [`requests ${params.request.url}`];
      case "Log.entryAdded": return [`the log says: ${params.entry.text}`];
      case "Runtime.consoleAPICalled": case "Runtime.exceptionThrown": return [`the console is written to: ${method}`];
      case "Page.javascriptDialogOpening": return ["a dialog opens"];
      default: return [];
    }
  });
}

async function look(chromium, { name, scheme, width }) {
  await chromium.ask("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  await chromium.ask("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: false });
  await chromium.go(url);
  const said = acts(chromium);
  expect(said.length === 0, `${name}: the page ${said.join(", ")}`);
  const beyond = await chromium.value("document.documentElement.scrollWidth - innerWidth");
  expect(beyond <= 0, `${name}: the page is ${beyond} px too wide`);
  await shoot(chromium, name, width);
  await chromium.value("document.querySelectorAll('details').forEach((it) => { it.open = true; })");
  const opened = await chromium.value("document.documentElement.scrollWidth - innerWidth");
  expect(opened <= 0, `${name}: opened, the page is ${opened} px too wide`);
  const { violations, passes } = await chromium.value(`${axe};axe.run(document, { resultTypes: ["violations"] })
    .then(({ violations, passes }) => ({ passes: passes.length, violations: violations.map((it) => it.id + ": " + it.nodes.map((node) => node.html.slice(0, 120)).slice(0, 3).join(" ")) }))`);
  for (const violation of violations) wrong.push(`${name}: axe: ${violation}`);
  console.log(`${name}: ${passes} rules of axe-core pass, ${violations.length} do not`);
}

async function shoot(chromium, name, width) {
  const height = await chromium.value("document.documentElement.scrollHeight");
  const clip = { x: 0, y: 0, width, height: Math.min(height, 12_000), scale: 1 };
  const { data } = await chromium.ask("Page.captureScreenshot", { clip, captureBeyondViewport: true });
  writeFileSync(join(process.env.SHOTS ?? ".", `${name}.png`), Buffer.from(data, "base64"));
}

async function content(chromium) {
  await chromium.go(url);
  const seen = await chromium.value(`(() => {
    const policy = document.querySelector("meta[http-equiv=Content-Security-Policy]").content;
    return {
      policy,
      images: document.images.length,
      scripts: [...document.scripts].filter((it) => it.type !== "application/json").length,
      styles: document.styleSheets.length,
      handlers: [...document.querySelectorAll("*")].filter((it) => [...it.attributes].some(({ name }) => name.startsWith("on"))).length,
      text: [...document.querySelectorAll("pre")].map((it) => it.textContent).join("\\n"),
      data: JSON.parse(document.getElementById("data").textContent).projects.length,
      rows: document.querySelectorAll("#overview tbody tr").length,
      coloured: getComputedStyle(document.querySelector(".m.bad")).color !== getComputedStyle(document.body).color,
    };
  })()`);
  expect(seen.policy.startsWith("default-src 'none'; style-src 'sha256-"), `the policy is ${seen.policy}`);
  expect(seen.images + seen.scripts + seen.handlers === 0, `something is made of a log: ${JSON.stringify(seen)}`);
  expect(seen.styles === 1 && seen.coloured, "its style sheet is not applied");
  expect(seen.text.includes("</script><img src=x onerror=alert(1)> \\u{202e}\\xff"), "the hostile line is not there as text");
  expect(!/[\u202a-\u202e\u2066-\u2069]/u.test(seen.text), "a log turns the text around");
  expect(seen.data === seen.rows && seen.rows > 0, `${seen.rows} projects are shown, the data has ${seen.data}`);
  // A link into what is folded away opens it.
  const folded = "[...document.querySelectorAll('details:not([open]) tr[id]')].pop().id";
  const id = await chromium.value(folded);
  await chromium.go(`${url}#${id}`);
  expect(await chromium.value("document.querySelector(':target').closest('details').open"), `#${id} stays folded away`);
  // The policy binds: neither a script nor a style that got into the page would do anything.
  await chromium.value(`{
    const script = document.createElement("script");
    script.textContent = "document.title = 'run'";
    const style = document.createElement("style");
    style.textContent = "body { display: none }";
    document.body.append(script, style);
  }`, false);
  expect(await chromium.value("document.title !== 'run' && getComputedStyle(document.body).display !== 'none'"), "the policy does not bind");
}

await validate();
const chromium = new Chromium(process.env.CHROMIUM ?? "chromium");
try {
  await chromium.open();
  for (const each of LOOKS) await look(chromium, each);
  await content(chromium);
} finally {
  await chromium.close();
}
for (const what of wrong) console.error(`WRONG: ${what}`);
console.log(wrong.length === 0 ? "all held" : `${wrong.length} did not hold`);
process.exitCode = wrong.length === 0 ? 0 : 1;
