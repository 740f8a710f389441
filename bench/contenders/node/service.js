// The HTTP side of both contenders in Node: Fastify, the token of each request verified, bodies checked against a schema.

import { createVerifier } from "fast-jwt";
import Fastify from "fastify";

export const DEFAULTS = { product_updates: true, delivery_alerts: true, billing_receipts: true, weekly_usage_digest: false };

const PATH = "/v1/me/notifications";
const toggles = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, { type: "boolean" }]));
const CHANGES = {
  type: "object",
  additionalProperties: false,
  properties: { email: { type: "object", additionalProperties: false, properties: toggles } },
};
const ANSWER = {
  type: "object",
  properties: {
    success: { type: "boolean" },
    data: { type: "object", properties: { email: { type: "object", properties: toggles } } },
  },
};

// The key is parsed once, and each token is verified each time, as in the Python contenders (caller.py).
const verify = createVerifier({
  key: process.env.CLERK_JWT_KEY,
  algorithms: ["RS256"],
  allowedIss: process.env.CLERK_ISSUER,
  clockTolerance: 5000,
  requiredClaims: ["exp", "iat", "nbf", "sub", "sid"],
  cache: false,
});

/** Serves on the `PORT` of the environment. `read` and `change` answer with the toggles of a caller, `close` ends what they use. */
export async function serve({ read, change, close }) {
  // Types are as strict as pydantic's are in the Python contenders. Fastify has no log unless it is told to.
  const app = Fastify({ ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } });
  app.decorateRequest("caller", null);
  app.addHook("onRequest", async (request, reply) => {
    try {
      const claims = verify((request.headers.authorization ?? "").replace(/^Bearer /, ""));
      request.caller = { organization: claims.o?.id ?? "", user: claims.sub };
    } catch {
      return reply.code(401).send({ detail: "authentication failed" });
    }
  });
  app.get(PATH, { schema: { response: { 200: ANSWER } } }, async ({ caller }) => envelope(await read(caller)));
  app.patch(PATH, { schema: { body: CHANGES, response: { 200: ANSWER } } }, async ({ caller, body }) =>
    envelope(await change(caller, body.email ?? {})),
  );
  app.addHook("onClose", close);
  process.once("SIGTERM", async () => {
    await app.close();
    process.exit();
  });
  await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT), backlog: 2048 });
}

function envelope(email) {
  return { success: true, data: { email } };
}
