/** The page /preferences. */

import { getToken } from "../../static/session.js";

await getToken();
