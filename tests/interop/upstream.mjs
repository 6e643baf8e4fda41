// The published CLI, as a user has it: started by node, offline where the kernel lets us, with a scratch HOME.
// Never touches the files of a run itself.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const here = path.dirname(fileURLToPath(import.meta.url));
const packageDir = path.join(here, "node_modules/@kbediako/codex-orchestrator");
const cli = path.join(packageDir, "bin/codex-orchestrator.js");
const COMMAND_MS_MAX = 120_000;

/** Whether a private network namespace can be made here; without it the CLI could reach the network. */
export const offline = spawnSync("unshare", ["-rn", "true"]).status === 0;
if (!offline) {
  console.error("interop: NOT OFFLINE: `unshare -rn` does not work here, the published CLI runs with the network in reach");
}

/** The version that is installed; the checks are written against exactly one. */
export const version = JSON.parse(readFileSync(path.join(packageDir, "package.json"), "utf8")).version;

/** The environment of a user who has nothing but PATH: everything else comes from the workspace's scratch directory. */
export function cleanEnv(scratch, extra = {}) {
  return {
    PATH: process.env.PATH,
    LANG: "C.UTF-8",
    NO_COLOR: "1",
    HOME: path.join(scratch, "home"),
    CODEX_HOME: path.join(scratch, "codex"),
    TMPDIR: path.join(scratch, "tmp"),
    MCP_RUNNER_TASK_ID: "demo",
    CODEX_ORCHESTRATOR_RUNTIME_MODE: "cli",
    ...extra,
  };
}

function argv(args) {
  const command = [process.execPath, cli, ...args];
  return offline ? ["unshare", "-rn", ...command] : command;
}

/** Runs one command of the published CLI to its end and returns `{code, stdout, stderr}`. */
export function upstream(ws, args, extraEnv = {}) {
  const [program, ...rest] = argv(args);
  const done = spawnSync(program, rest, {
    cwd: ws.root,
    env: cleanEnv(ws.scratch, extraEnv),
    encoding: "utf8",
    timeout: COMMAND_MS_MAX,
    maxBuffer: 64 << 20,
  });
  if (done.error) throw done.error;
  return { code: done.status, stdout: done.stdout, stderr: done.stderr };
}

/** Starts one command of the published CLI and returns the child; its stdout gathers in `child.text`. */
export function upstreamChild(ws, args) {
  const [program, ...rest] = argv(args);
  const child = spawn(program, rest, { cwd: ws.root, env: cleanEnv(ws.scratch), stdio: ["ignore", "pipe", "inherit"] });
  child.text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => (child.text += chunk));
  return child;
}

/** The JSON document in the CLI's stdout: log lines come before it, so it begins at the last line that is `{`. */
export function document(stdout) {
  const lines = stdout.split("\n");
  const start = lines.lastIndexOf("{");
  assert.notEqual(start, -1, `no JSON document in:\n${stdout}`);
  return JSON.parse(lines.slice(start).join("\n"));
}

/** The text that the CLI logs, without its prefix. */
export function logLines(stdout) {
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("[Codex-Orchestrator] "))
    .map((line) => line.slice("[Codex-Orchestrator] ".length));
}

const require = createRequire(import.meta.url);
const { default: Ajv } = require("ajv");
const schema = JSON.parse(readFileSync(path.join(packageDir, "schemas/manifest.json"), "utf8"));
const validate = new Ajv({ allErrors: true, strict: false, validateFormats: false }).compile(schema);

/** The complaints of the package's own manifest schema; empty when the manifest satisfies it. */
export function schemaErrors(manifest) {
  return validate(manifest) ? [] : validate.errors.map((e) => `${e.instancePath || "/"} ${e.message} ${JSON.stringify(e.params)}`);
}
