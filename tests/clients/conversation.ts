// What a dashboard and a machine do with the client that orval made of the description. tsc compiles it beside the client;
// its types are a part of the test. It prints what it was answered.
import {
  changeMyNotificationPreferences,
  decideWhoMayBeWrittenTo,
  getCheckpoint,
  getGetMetricsUrl,
  getHealth,
  getMyNotificationHistory,
  getMyNotificationPreferences,
  getNotificationCatalogue,
  getReadiness,
  getUserEvidence,
  getUserNotificationHistory,
  getUserNotificationPreferences,
  listPublishedCatalogues,
  listReadings,
  type AuditLogPage,
  type CloudEvent,
  type Decision,
  type ErrorAnswer,
  type EventPage,
  type Preferences,
  readAuditLog,
  readEvents,
  summarizeAuditLog,
} from "./client.js";

declare const process: { env: Record<string, string> };

const mine = { headers: { Authorization: `Bearer ${process.env.USER_TOKEN}` } };
const auditors = { headers: { Authorization: `Bearer ${process.env.ADMIN_TOKEN}` } };

function told(event: CloudEvent): string {
  // The type decides what `data` is.
  switch (event.type) {
    case "notification-preferences.toggled.v1":
      return `toggled ${event.data.toggle}: ${event.data.enabled satisfies boolean}`;
    case "notification-preferences.opened.v1":
      return `opened by ${event.data.actor.kind}`;
    case "notification-preferences.erased.v1":
      return `erased in ${event.data.organization}`;
    case "notification-preferences.catalogue-published.v1":
      return `catalogue of ${event.data.channels.length} channel`;
    case "notification-preferences.continued.v1":
      return `continued behind ${event.data.previous_end}`;
  }
}

const health = await getHealth();
const ready = await getReadiness();
// orval parses each answer as JSON; a text is read from the operation's address.
const metrics = await (await fetch(getGetMetricsUrl())).text();
const before = await getMyNotificationPreferences(mine);
const changed = await changeMyNotificationPreferences({ email: { weekly_usage_digest: true } }, mine);
if (changed.status !== 200) throw new Error(`changed: ${changed.status}`);
const preferences: Preferences = changed.data.data;
const digest: boolean = preferences.email.weekly_usage_digest;
const refused = await changeMyNotificationPreferences(
  { email: { product_news: true } } as never, mine,
);
const error: ErrorAnswer = refused.data as ErrorAnswer;
const catalogue = await getNotificationCatalogue(mine);
if (catalogue.status !== 200) throw new Error(`catalogue: ${catalogue.status}`);
const title: string = catalogue.data.data.channels[0].toggles[0].title;
const history = await getMyNotificationHistory({ limit: 1 }, mine);
if (history.status !== 200) throw new Error(`history: ${history.status}`);
const total: number = history.data.meta.total;
const success: boolean = history.data.success;

const decided = await decideWhoMayBeWrittenTo(
  { channel: "email", toggle: "product_updates", users: ["user_ada", "user_nobody"] }, auditors,
);
if (decided.status !== 200) throw new Error(`decided: ${decided.status}`);
const decisions: Decision[] = decided.data.data.decisions;
const ada = await getUserNotificationPreferences("user_ada", { include: "explain" }, auditors);
if (ada.status !== 200) throw new Error(`ada: ${ada.status}`);
const adaHistory = await getUserNotificationHistory("user_ada", { limit: 1 }, auditors);
if (adaHistory.status !== 200) throw new Error(`history of ada: ${adaHistory.status}`);
const summary = await summarizeAuditLog({ since: "2026-03-03T00:00:00Z", until: "2026-03-04T00:00:00Z" }, auditors);
if (summary.status !== 200 || typeof summary.data === "string") throw new Error(`summary: ${summary.status}`);
const optIns = summary.data.data.reduce((sum, day) => sum + day.opt_ins, 0);
const readings = await listReadings({ limit: 1 }, auditors);
if (readings.status !== 200) throw new Error(`readings: ${readings.status}`);
const checkpoint = await getCheckpoint(auditors);
if (checkpoint.status !== 200) throw new Error(`checkpoint: ${checkpoint.status}`);
const catalogues = await listPublishedCatalogues(auditors);
if (catalogues.status !== 200) throw new Error(`catalogues: ${catalogues.status}`);
const bundle = await getUserEvidence("user_ada", auditors);
if (bundle.status !== 200) throw new Error(`bundle: ${bundle.status}`);

// orval hands on whatever may be NDJSON as it comes.
const audit = await readAuditLog({ enabled: true, limit: 3 }, auditors);
if (!("stream" in audit)) throw new Error("no stream");
const entries: AuditLogPage = JSON.parse(await audit.stream.text());
const page = await readEvents({ limit: 1000 }, auditors);
if (!("stream" in page)) throw new Error("no stream");
const events: EventPage = JSON.parse(await page.stream.text());
const feed = await readEvents({}, { headers: { ...auditors.headers, Accept: "application/x-ndjson" } });
if (!("stream" in feed)) throw new Error("no stream");
const lines = (await feed.stream.text()).trimEnd().split("\n").map((line) => JSON.parse(line) as CloudEvent);

console.log(JSON.stringify({
  health: health.status,
  ready: ready.status,
  metrics: metrics.includes("http_server_request_duration_seconds"),
  before: before.status === 200 && before.data.data.email.weekly_usage_digest,
  digest,
  refused: [refused.status, error.error.code, error.error.details],
  title,
  total,
  success,
  toggles: history.data.data.map((entry) => entry.toggle),
  decisions: decisions.map((decision) => decision.user),
  explained: Object.keys(ada.data.data.explain?.email ?? {}).length > 0,
  history: adaHistory.data.data.length,
  opt_ins: optIns > 0,
  readings: readings.data.data.map((reading) => reading.action),
  checkpoint: checkpoint.data.data.size,
  catalogues: catalogues.data.data.map((one) => one.version),
  evidence: [bundle.data.user, bundle.data.events.length > 1],
  audit: entries.data.map((entry) => entry.resource.type),
  events: [...new Set(events.data.map(told).map((sentence) => sentence.split(" ")[0]))].sort(),
  lines: lines.length,
}));
