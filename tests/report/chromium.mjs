// A headless Chromium and one page in it, spoken to by its own protocol over a pair of pipes: no package is needed.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const DEADLINE_MS = 60_000;

export class Chromium {
  constructor(program) {
    this.profile = mkdtempSync(join(tmpdir(), "orchd-report-"));
    const root = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    this.child = spawn(program, [
      "--headless=new", "--remote-debugging-pipe", `--user-data-dir=${this.profile}`, "--no-first-run",
      "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking",
      "--hide-scrollbars", ...root, "about:blank",
    ], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.asked = new Map();
    this.heard = [];
    this.count = 0;
    let rest = "";
    this.child.stdio[4].setEncoding("utf8").on("data", (text) => {
      const parts = (rest + text).split("\0");
      rest = parts.pop();
      for (const part of parts) this.hear(JSON.parse(part));
    });
    this.child.on("exit", (code) => {
      for (const { fail } of this.asked.values()) fail(new Error(`chromium ended with ${code}`));
    });
  }

  hear(message) {
    if (message.id === undefined) {
      this.heard.push(message);
      return;
    }
    const { done, fail } = this.asked.get(message.id);
    this.asked.delete(message.id);
    if (message.error) fail(new Error(message.error.message));
    else done(message.result);
  }

  ask(method, params = {}) {
    const id = ++this.count;
    const { session: sessionId } = this;
    const answer = new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error(`chromium has not answered ${method}`)), DEADLINE_MS);
      const ended = (end) => (value) => { clearTimeout(late); end(value); };
      this.asked.set(id, { done: ended(done), fail: ended(fail) });
    });
    this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return answer;
  }

  async open() {
    const { targetId } = await this.ask("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.ask("Target.attachToTarget", { targetId, flatten: true });
    this.session = sessionId;
    for (const domain of ["Page", "Network", "Log", "Runtime"]) await this.ask(`${domain}.enable`);
  }

  // Goes to an address and back here once it is loaded; what was heard before is forgotten.
  async go(url) {
    await this.ask("Page.navigate", { url: "about:blank" });
    this.heard = [];
    const { frameId } = await this.ask("Page.navigate", { url });
    const until = Date.now() + DEADLINE_MS;
    while (!this.heard.some(({ method }) => method === "Page.loadEventFired")) {
      if (Date.now() > until) throw new Error(`${url} is not loaded`);
      await new Promise((next) => setImmediate(next));
    }
    // A world of its own, which the page's policy does not bind and whose names it does not see.
    const world = await this.ask("Page.createIsolatedWorld", { frameId, worldName: "looker" });
    this.world = world.executionContextId;
  }

  // The value of an expression, in a world of its own, or in the page's.
  async value(expression, own = true) {
    const contextId = own ? this.world : undefined;
    const told = await this.ask("Runtime.evaluate", { expression, contextId, returnByValue: true, awaitPromise: true });
    if (told.exceptionDetails) throw new Error(JSON.stringify(told.exceptionDetails));
    return told.result.value;
  }

  async close() {
    const gone = new Promise((done) => this.child.on("exit", done));
    this.session = undefined;
    await this.ask("Browser.close").catch(() => this.child.kill("SIGKILL"));
    await gone;
    // What it has started writes there until it has ended, too.
    for (let left = 50; left > 0; left -= 1) {
      try {
        return rmSync(this.profile, { recursive: true, force: true });
      } catch {
        await new Promise((next) => setTimeout(next, 100));
      }
    }
    console.error(`${this.profile} stays: somebody writes there`);
  }
}
