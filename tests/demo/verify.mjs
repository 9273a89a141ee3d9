// Verifies with the published npm library: one line of JSON in, {"secret", "headers", "body"}; one line out, whether it verifies.

import { createInterface } from "node:readline";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers, { jsonParse: false });
    console.log(true);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    console.log(false);
  }
}
