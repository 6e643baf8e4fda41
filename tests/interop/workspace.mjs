// A workspace with its own scratch directory, and plain reading of what lies in it. Never writes evidence.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

export const TASK = "demo";
const TERMINAL = new Set(["succeeded", "failed", "cancelled"]);

const command = (id, title, text, more = {}) => ({ kind: "command", id, title, command: text, ...more });

/** The pipelines that every writer runs. `fixed` and `go` lie outside the workspace, so that they trigger nothing. */
function pipelines(scratch) {
  return {
    defaultPipeline: "diagnostics",
    pipelines: [
      {
        id: "diagnostics",
        title: "Diagnostics",
        description: "All four",
        stages: [
          command("build", "Build", "echo built"),
          command("lint", "Lint", "echo lint; echo warn >&2", { summaryHint: "Lint is clean" }),
          command("test", "Test", "true"),
          command("spec-guard", "Spec guard", "echo spec-guard ok"),
        ],
      },
      {
        id: "bad",
        title: "Bad",
        stages: [
          command("one", "One", `echo ran >> '${scratch}/one.log'`),
          command("two", "Two", `echo out; echo oops >&2; test -e '${scratch}/fixed'`),
          command("spec-guard", "Spec guard", "true"),
        ],
      },
      {
        id: "long",
        title: "Long",
        stages: [
          command("first", "First", "true"),
          command("hold", "Hold", `until test -e '${scratch}/go'; do sleep 0.05; done`),
          command("last", "Last", "true"),
        ],
      },
      {
        id: "nested",
        title: "Nested",
        stages: [
          command("first", "First", "true"),
          { kind: "subpipeline", id: "child", title: "Child", pipeline: "lenient" },
          { kind: "subpipeline", id: "extra", title: "Extra", pipeline: "broken", optional: true },
        ],
      },
      {
        id: "lenient",
        title: "Lenient",
        stages: [command("soft", "Soft", "exit 3", { allowFailure: true }), command("hard", "Hard", "true")],
      },
      { id: "broken", title: "Broken", stages: [command("boom", "Boom", "exit 7")] },
    ],
  };
}

/** A new workspace: a git repository with one commit, in a scratch directory of its own. */
export function makeWorkspace(config = null) {
  const scratch = mkdtempSync(path.join(os.tmpdir(), "orchd-interop-"));
  const root = path.join(scratch, "repo");
  for (const dir of ["repo", "home", "codex", "tmp", "run", "state"]) mkdirSync(path.join(scratch, dir));
  writeFileSync(path.join(root, "codex.orchestrator.json"), `${JSON.stringify(config ?? pipelines(scratch), null, 2)}\n`);
  writeFileSync(path.join(root, ".gitignore"), "/.runs/\n/out/\n");
  writeFileSync(path.join(root, "README.md"), "a workspace\n");
  // In a git hook GIT_DIR and others name the repository of whoever commits.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_")));
  const git = (...args) => execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], { cwd: root, env, stdio: "pipe" });
  git("init", "-q");
  git("add", "-A");
  git("commit", "-qm", "first");
  return open(scratch, root);
}

function open(scratch, root) {
  const abs = (...parts) => path.join(root, ...parts);
  const ws = {
    scratch,
    root,
    abs,
    runDir: (run) => abs(".runs", TASK, "cli", run),
    manifestPath: (run) => abs(".runs", TASK, "cli", run, "manifest.json"),
    manifest: (run) => readJson(ws.manifestPath(run)),
    runIds: () => (existsSync(abs(".runs", TASK, "cli")) ? readdirSync(abs(".runs", TASK, "cli")).sort() : []),
    metrics: (run) =>
      readFileSync(abs(".runs", TASK, "metrics.json"), "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line))
        .filter((line) => line.run_id === run),
    touch: (name) => writeFileSync(path.join(scratch, name), ""),
    remove: () => rmSync(scratch, { recursive: true, force: true }),
    /** A copy to tamper with; the stages still look at the original's scratch directory. */
    copy: () => {
      const other = mkdtempSync(path.join(os.tmpdir(), "orchd-interop-"));
      cpSync(scratch, other, { recursive: true, verbatimSymlinks: true, filter: (from) => !from.endsWith(".sock") });
      return open(other, path.join(other, "repo"));
    },
  };
  return ws;
}

export function readJson(file) {
  return JSON.parse(readFileSync(file, "utf8"));
}

export function editJson(file, edit) {
  const value = readJson(file);
  edit(value);
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}

/** Polls `probe` until it returns something truthy; a file that is just being replaced counts as not yet. */
export async function until(what, probe, msMax = 30_000) {
  const deadline = Date.now() + msMax;
  let last = null;
  while (Date.now() < deadline) {
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not in ${msMax} ms: ${what}`, { cause: last ?? undefined });
}

/** Waits until the run's manifest is terminal, and returns it. */
export function untilTerminal(ws, run) {
  return until(`run ${run} to end`, () => {
    const manifest = ws.manifest(run);
    return TERMINAL.has(manifest.status) && manifest.run_summary_path !== null ? manifest : null;
  });
}

/** Waits for a run that is not among `known` and whose stage `stage` runs; returns its id. */
export function untilStageRuns(ws, pipeline, stage, known) {
  return until(`stage ${stage} of ${pipeline} to run`, () =>
    ws.runIds().find((run) => {
      if (known.has(run) || !existsSync(ws.manifestPath(run))) return false;
      const manifest = ws.manifest(run);
      return manifest.pipeline_id === pipeline && manifest.commands.some((c) => c.id === stage && c.status === "running");
    }),
  );
}
