// What both programs say to `plan`, brought to the part that they share.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";

import { here } from "./upstream.mjs";

/** The configurations, each with the pipelines that are asked for; `null` asks for none. */
export function planCases() {
  const dir = path.join(here, "configs");
  return readdirSync(dir)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .flatMap((name) => {
      const config = JSON.parse(readFileSync(path.join(dir, name), "utf8"));
      const named = config.pipelines.map((p) => p.id);
      return [null, ...named].map((pipeline) => ({ name: `${name.slice(0, -5)}-${pipeline ?? "(none named)"}`, config, pipeline }));
    });
}

export const goldenPath = (name) => path.join(here, "expected", `plan-${name.replace("(none named)", "unnamed")}.json`);

/** Upstream's plan without what only upstream can know: its memory references. */
export function stable(plan) {
  const copy = structuredClone(plan);
  for (const item of copy.plan.items) delete item.metadata.selectedMemoryRefs;
  return copy;
}

/** Asserts that `ours` has every field of `theirs` with the same value; it may have more in objects, never in lists. */
export function assertCovers(ours, theirs, at = "plan") {
  if (Array.isArray(theirs)) {
    assert.ok(Array.isArray(ours), `${at} is a list`);
    assert.equal(ours.length, theirs.length, `${at}.length`);
    theirs.forEach((value, i) => assertCovers(ours[i], value, `${at}[${i}]`));
  } else if (theirs !== null && typeof theirs === "object") {
    assert.ok(ours !== null && typeof ours === "object", `${at} is an object`);
    if (/\.env$/.test(at)) assert.deepEqual(Object.keys(ours), Object.keys(theirs), `${at} keys and their order`);
    for (const [key, value] of Object.entries(theirs)) assertCovers(ours[key], value, `${at}.${key}`);
  } else {
    assert.deepEqual(ours, theirs, at);
  }
}
