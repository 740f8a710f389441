// Plain CRUD as a competent person writes it in Node: Fastify and pg, one row per user, no history. Table, statements and the size of
// the pool are those of crud.py. The statements have names, so pg prepares them once on each connection.

import pg from "pg";

import { DEFAULTS, serve } from "./service.js";

const POOL_SIZE = 8;

const TABLE = `
CREATE TABLE IF NOT EXISTS preferences (
    organization        text        NOT NULL,
    user_id             text        NOT NULL,
    product_updates     boolean     NOT NULL DEFAULT true,
    delivery_alerts     boolean     NOT NULL DEFAULT true,
    billing_receipts    boolean     NOT NULL DEFAULT true,
    weekly_usage_digest boolean     NOT NULL DEFAULT false,
    updated_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization, user_id)
) WITH (fillfactor = 70)
`;

const READ = {
  name: "read",
  text: `
SELECT product_updates, delivery_alerts, billing_receipts, weekly_usage_digest
FROM preferences
WHERE organization = $1 AND user_id = $2
`,
};

const CHANGE = {
  name: "change",
  text: `
INSERT INTO preferences AS p
       (organization, user_id, product_updates, delivery_alerts, billing_receipts, weekly_usage_digest)
VALUES ($1, $2, coalesce($3, true), coalesce($4, true), coalesce($5, true), coalesce($6, false))
ON CONFLICT (organization, user_id) DO UPDATE
   SET product_updates     = coalesce($3, p.product_updates),
       delivery_alerts     = coalesce($4, p.delivery_alerts),
       billing_receipts    = coalesce($5, p.billing_receipts),
       weekly_usage_digest = coalesce($6, p.weekly_usage_digest),
       updated_at          = now()
RETURNING product_updates, delivery_alerts, billing_receipts, weekly_usage_digest
`,
};

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: POOL_SIZE });
await pool.query(TABLE);

await serve({
  read: async ({ organization, user }) => {
    const { rows } = await pool.query({ ...READ, values: [organization, user] });
    return rows[0] ?? DEFAULTS;
  },
  change: async ({ organization, user }, email) => {
    const values = [organization, user, ...Object.keys(DEFAULTS).map((toggle) => email[toggle] ?? null)];
    const { rows } = await pool.query({ ...CHANGE, values });
    return rows[0];
  },
  close: () => pool.end(),
});
