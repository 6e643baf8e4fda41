// Our two binaries, each workspace with a daemon, a state directory and a HOME of its own.
// Ends only processes that it started, by their handles.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, openSync, writeFileSync } from "node:fs";
import path from "node:path";

import { here, cleanEnv } from "./upstream.mjs";
import { until } from "./workspace.mjs";

const repository = path.join(here, "../..");
const resolveBin = (variable, name) => path.resolve(process.env[variable] ?? path.join(repository, "target/debug", name));
const orchd = resolveBin("ORCHD_BIN", "orchd");
const orchctl = resolveBin("ORCHCTL_BIN", "orchctl");
const COMMAND_MS_MAX = 60_000;

/** Throws a sentence that says what to do when a binary is missing. */
export function assertBuilt() {
  for (const [variable, file] of [["ORCHD_BIN", orchd], ["ORCHCTL_BIN", orchctl]]) {
    try {
      accessSync(file, constants.X_OK);
    } catch {
      throw new Error(`${file} is not there: run \`cargo build\` first, or name the binary in ${variable}`);
    }
  }
}

function env(ws) {
  return cleanEnv(ws.scratch, {
    ORCHD_SOCKET: path.join(ws.scratch, "run/orchd.sock"),
    ORCHD_STATE_DIR: path.join(ws.scratch, "state"),
    ORCHD_CONFIG: path.join(ws.scratch, "config.toml"),
    XDG_RUNTIME_DIR: path.join(ws.scratch, "run"),
    XDG_STATE_HOME: path.join(ws.scratch, "state"),
    XDG_CONFIG_HOME: path.join(ws.scratch, "config"),
  });
}

/** Runs one `orchctl` command inside the workspace and returns `{code, stdout, stderr}`. */
export function ctl(ws, args) {
  const done = spawnSync(orchctl, args, { cwd: ws.root, env: env(ws), encoding: "utf8", timeout: COMMAND_MS_MAX });
  if (done.error) throw done.error;
  return { code: done.status, stdout: done.stdout, stderr: done.stderr };
}

/** The one JSON document of an `orchctl --json` command, which must end with `code`. */
export function ctlJson(ws, args, code = 0) {
  const done = ctl(ws, args);
  assert.equal(done.code, code, `orchctl ${args.join(" ")} exited ${done.code}\n${done.stderr}${done.stdout}`);
  return JSON.parse(done.stdout);
}

/** A daemon in the foreground for this workspace; its words go to `<scratch>/orchd.log`. */
export async function startDaemon(ws) {
  writeFileSync(path.join(ws.scratch, "config.toml"), "");
  const log = openSync(path.join(ws.scratch, "orchd.log"), "a");
  const child = spawn(orchd, [], { cwd: ws.scratch, env: env(ws), stdio: ["ignore", log, log] });
  const gone = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  const answer = ctl(ws, ["ping", "--wait", "10s"]);
  if (answer.code !== 0) {
    child.kill("SIGKILL");
    throw new Error(`orchd did not answer: ${answer.stderr}; its log is ${path.join(ws.scratch, "orchd.log")}`);
  }
  return {
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      ctl(ws, ["shutdown"]);
      const ended = await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 10_000, "late").unref())]);
      if (ended === "late") child.kill("SIGKILL");
      assert.equal(ended, 0, "the daemon's exit code after `orchctl shutdown`");
    },
  };
}

/** Trusts the workspace for `run --no-daemon`; where that takes a daemon, one is started for it. */
export async function allow(ws) {
  const direct = ctl(ws, ["allow", ws.root]);
  if (direct.code === 0) return;
  assert.equal(direct.code, 4, `orchctl allow: ${direct.stderr}`);
  const daemon = await startDaemon(ws);
  const added = ctl(ws, ["add", "--allow", ws.root]);
  assert.equal(added.code, 0, added.stderr);
  ctl(ws, ["wait", "--timeout", "30s"]);
  await daemon.stop();
}

/** `orchctl run … --no-daemon` as a child, and the promise of its exit code. */
export function runChild(ws, args) {
  const child = spawn(orchctl, args, { cwd: ws.root, env: env(ws), stdio: ["ignore", "ignore", "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  return { child, exited };
}

/** One run in the output of `orchctl runs --json`, once it says what `accept` wants. */
export function untilListed(ws, run, accept) {
  return until(`orchctl runs to list ${run} as expected`, () => {
    const { runs } = ctlJson(ws, ["runs", "--json", "--limit", "200"]);
    const found = runs.find((r) => r.run_id === run);
    return found && accept(found) ? { found, runs } : null;
  });
}
