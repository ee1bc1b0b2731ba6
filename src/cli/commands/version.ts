import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { type Invocation, withCommon } from "../invocation.js";

/** The version that package.json states. */
export function versionText(): string {
  const text = readFileSync(new URL("../../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

export function registerVersion(program: Command, { output }: Invocation): void {
  withCommon(program.command("version").description("print the version"), { json: true })
    .addHelpText("after", "\nExample:\n  bcoopfs version")
    .action((options: { json?: boolean }) => {
      const version = versionText();
      if (options.json) output.json({ version, formats: { segment: 1, record: 1 }, node: process.versions.node });
      else output.line(`bcoopfs ${version}`);
    });
}
