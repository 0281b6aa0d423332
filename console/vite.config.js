import { defineConfig } from "vite";

export default defineConfig({
  // The server's content security policy allows nothing inline: neither scripts nor data URIs.
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  // `npm run dev` beside a running `foreshard demo`.
  server: { proxy: { "/api": "http://127.0.0.1:8080" } },
});
