// One step of measure.loadtest.k6: constant arrivals, clips in the given order. JOB names a JSON file with all of it.
import exec from 'k6/execution';
import http from 'k6/http';

const job = JSON.parse(open(__ENV.JOB));
const requests = job.requests.map((request) => ({ body: open(request.file, 'b'), headers: request.headers }));

export const options = {
  discardResponseBodies: true,
  noVUConnectionReuse: false,
  systemTags: ['status'],
  scenarios: {
    load: {
      executor: 'constant-arrival-rate',
      rate: job.per_thousand_seconds, // whole numbers only
      timeUnit: '1000s',
      duration: `${job.seconds}s`,
      preAllocatedVUs: job.users,
      maxVUs: job.users,
      gracefulStop: `${job.timeout}s`,
    },
  },
};

export default function () {
  const request = requests[job.order[exec.scenario.iterationInTest % job.order.length]];
  http.post(job.url, request.body, { headers: request.headers, timeout: `${job.timeout}s`, redirects: 0 });
}
