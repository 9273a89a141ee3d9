// Signs and verifies with the code of GitHub's and Shopify's own clients: one line of JSON in, {"scheme", "secret", "body"} and, to be
// verified, "signature"; one line out, the signature or whether it is right.

import { createInterface } from "node:readline";
import { sign, verify } from "@octokit/webhooks-methods";
import "@shopify/shopify-api/adapters/node";
import { createSHA256HMAC } from "@shopify/shopify-api/runtime";
import { shopifyApi } from "@shopify/shopify-api";

const shopifyOf = (apiSecretKey) =>
  shopifyApi({ apiKey: "key", apiSecretKey, apiVersion: "2026-01", hostName: "localhost", isEmbeddedApp: false, logger: { level: 0 } });

const schemes = {
  github: { sign, verify },
  shopify: {
    sign: (secret, body) => createSHA256HMAC(secret, body),
    verify: async (secret, body, signature) => {
      const headers = { "x-shopify-hmac-sha256": signature, "x-shopify-topic": "t", "x-shopify-api-version": "v", "x-shopify-shop-domain": "d", "x-shopify-webhook-id": "w" };
      const { valid } = await shopifyOf(secret).webhooks.validate({ rawBody: body, rawRequest: { method: "POST", url: "/", headers } });
      return valid;
    },
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { scheme, secret, body, signature } = JSON.parse(line);
  const known = schemes[scheme];
  console.log(JSON.stringify(signature === undefined ? await known.sign(secret, body) : await known.verify(secret, body, signature)));
}
