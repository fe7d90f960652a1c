// What k6 runs: prepared requests over keep-alive connections, each client its own, each answer checked.
// JOBS names a JSON file {url, clients: [[{path, headers, body, expects}]]}; SUMMARY where the figures go.
import http from "k6/http";
import { Counter, Trend } from "k6/metrics";
import exec from "k6/execution";

const jobs = JSON.parse(open(__ENV.JOBS));
const took = new Trend("took", true);
const wrong = new Counter("wrong");

export const options = {
  scenarios: {
    load: {
      executor: "per-vu-iterations",
      vus: jobs.clients.length,
      iterations: jobs.clients[0].length,
      maxDuration: "120s",
    },
  },
  summaryTrendStats: ["p(50)", "p(95)", "count"],
  noUsageReport: true,
};

const at = (value, path) => path.split(".").reduce((inner, name) => (inner ?? {})[name], value);

export default function () {
  const job = jobs.clients[exec.vu.idInTest - 1][exec.vu.iterationInScenario];
  const answer = http.post(jobs.url + job.path, job.body, { headers: job.headers });
  took.add(answer.timings.duration);
  let result;
  try {
    result = JSON.parse(answer.body).result;
  } catch (_) {
    result = undefined;
  }
  const fits = result && Object.entries(job.expects).every(([path, value]) => at(result, path) === value);
  if (!fits) {
    wrong.add(1);
    console.error(`wrong answer ${answer.status}: ${String(answer.body).slice(0, 300)}`);
  }
}

export function handleSummary(data) {
  const values = (name) => (data.metrics[name] ?? { values: { count: 0 } }).values;
  return { [__ENV.SUMMARY]: JSON.stringify({ took: values("took"), wrong: values("wrong").count }) };
}
