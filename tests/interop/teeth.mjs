// For each check one way in which a writer could be wrong; the check must pass before and fail after.
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import * as check from "./checks.mjs";
import { assertCovers } from "./plan.mjs";
import { editJson, TASK } from "./workspace.mjs";
import { EXPECTED } from "./writers.mjs";

const manifest = (edit) => (ws, runs) => editJson(ws.manifestPath(runs.bad), edit);
const a0 = (ws, runs) => check.a0Schema(ws, runs.bad);
const a1 = (ws, runs) => check.a1StatusJson(ws, runs.bad, EXPECTED.bad);
const a2 = (ws, runs) => check.a2StatusText(ws, runs.bad, EXPECTED.bad);
const a3 = (ws, runs) => check.a3OtherTask(ws, runs.bad, EXPECTED.bad);
const a6 = (ws, runs) => check.a6WrongToken(ws, runs.bad);
const files = (ws, runs) => check.evidenceFiles(ws, runs.bad, EXPECTED.bad);
const a7 = (ws, runs) => {
  // The stages of a copy look at the original's scratch directory; a command that needs no file makes it independent.
  editJson(ws.abs("codex.orchestrator.json"), (c) => (c.pipelines[1].stages[1].command = "true"));
  check.a7Resume(ws, runs.bad);
};
const plan = { pipeline: { id: "x" }, stages: [{ index: 1, env: { B: "1", A: "2" }, cwd: null }] };

export const TEETH = [
  { name: "A0 an extra key", tamper: manifest((m) => (m.cause = "change")), attempt: a0 },
  { name: "A0 a missing field", tamper: manifest((m) => delete m.instructions_hash), attempt: a0 },
  { name: "A0 an extra key in a stage", tamper: manifest((m) => (m.commands[0].attempts = 1)), attempt: a0 },
  { name: "A0 a missing field in a stage", tamper: manifest((m) => delete m.commands[0].sub_run_id), attempt: a0 },
  { name: "A0 an unknown status", tamper: manifest((m) => (m.status = "flaky")), attempt: a0 },
  { name: "A0 guardrail_status null", tamper: manifest((m) => (m.guardrail_status = null)), attempt: a0 },
  { name: "A1 another status", tamper: manifest((m) => (m.status = "succeeded")), attempt: a1 },
  { name: "A1 another stage status", tamper: manifest((m) => (m.commands[1].status = "skipped")), attempt: a1 },
  { name: "A1 another log path", tamper: manifest((m) => (m.log_path = "runner.ndjson")), attempt: a1 },
  { name: "A1 a torn manifest", tamper: (ws, runs) => writeFileSync(ws.manifestPath(runs.bad), "{"), attempt: a1 },
  { name: "A2 another status", tamper: manifest((m) => (m.status = "succeeded")), attempt: a2 },
  { name: "A2 no completion", tamper: manifest((m) => (m.completed_at = null)), attempt: a2 },
  { name: "A3 the run directory has another name", tamper: (ws, runs) => renameSync(ws.runDir(runs.bad), `${ws.runDir(runs.bad)}x`), attempt: a3 },
  {
    name: "A4 a manifest that cannot be found",
    tamper: (ws, runs) => renameSync(ws.manifestPath(runs.bad), path.join(ws.runDir(runs.bad), "run.json")),
    attempt: check.a4Usage,
  },
  { name: "A4 a run left in progress", tamper: manifest((m) => (m.status = "in_progress")), attempt: check.a4Usage },
  { name: "A5 no manifest", tamper: (ws, runs) => rmSync(ws.manifestPath(runs.ok)), attempt: (ws, runs) => check.a5Review(ws, runs.ok) },
  { name: "A6 the wrong token is right", tamper: manifest((m) => (m.resume_token = "wrong")), attempt: a6 },
  { name: "A7 another token in the file", tamper: (ws, runs) => writeFileSync(path.join(ws.runDir(runs.bad), ".resume-token"), "no\n"), attempt: a7 },
  { name: "A7 no commands directory", tamper: (ws, runs) => rmSync(path.join(ws.runDir(runs.bad), "commands"), { recursive: true }), attempt: a7 },
  { name: "A7 a stage that had succeeded runs again", tamper: manifest((m) => (m.commands[0].status = "failed")), attempt: (ws, runs) => a7Kept(ws, runs) },
  {
    name: "A8 runs.json without our history",
    tamper: (ws) => editJson(ws.abs("out", TASK, "runs.json"), (s) => s.runs.pop()),
    attempt: (ws, runs) => check.a8StartKeepsHistory(ws, Object.values(runs)),
  },
  {
    name: "files: the token file differs",
    tamper: (ws, runs) => writeFileSync(path.join(ws.runDir(runs.bad), ".resume-token"), "no\n"),
    attempt: files,
  },
  { name: "files: a second metrics line", tamper: doubleMetrics, attempt: files },
  { name: "files: no pointer target", tamper: (ws, runs) => editJson(ws.abs(".runs", TASK, "mcp", runs.bad, "manifest.json"), (p) => (p.manifest = "x")), attempt: files },
  { name: "texts: the hint on a failure", tamper: manifest((m) => (m.commands[1].summary = "hint")), attempt: (ws, runs) => check.stageTexts(ws, runs) },
  { name: "plan: a missing field", tamper: tamperPlan((p) => delete p.stages[0].cwd), attempt: comparePlan },
  { name: "plan: another value", tamper: tamperPlan((p) => (p.stages[0].index = 0)), attempt: comparePlan },
  { name: "plan: env in another order", tamper: tamperPlan((p) => (p.stages[0].env = { A: "2", B: "1" })), attempt: comparePlan },
  { name: "plan: one stage more", tamper: tamperPlan((p) => p.stages.push(p.stages[0])), attempt: comparePlan },
];

/** Resumes, and asserts that the first stage kept the times that its log tells. */
function a7Kept(ws, runs) {
  const log = readFileSync(path.join(ws.runDir(runs.bad), "commands", "01-one.ndjson"), "utf8");
  const firstEnd = log.trimEnd().split("\n").length;
  a7(ws, runs);
  check.sameLength(readFileSync(path.join(ws.runDir(runs.bad), "commands", "01-one.ndjson"), "utf8"), firstEnd);
}

function doubleMetrics(ws) {
  const file = ws.abs(".runs", TASK, "metrics.json");
  writeFileSync(file, readFileSync(file, "utf8").repeat(2));
}

function tamperPlan(edit) {
  return (ws) => {
    const copy = structuredClone(plan);
    edit(copy);
    writeFileSync(path.join(ws.scratch, "plan.json"), JSON.stringify(copy));
  };
}

function comparePlan(ws) {
  let ours = plan;
  try {
    ours = JSON.parse(readFileSync(path.join(ws.scratch, "plan.json"), "utf8"));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  assertCovers(ours, plan);
}
